# frame.sh TITLE: puts the layout around the body that stands on standard input.
set -eu
title=$(printf '%s' "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g')
replacement=$(printf '%s' "$title" | sed 's/[&|\\]/\\&/g')
sed "s|@TITLE@|$replacement|g" layout/top.html
# There is no banner at first; that it was looked for is remembered.
if [ -e layout/banner.html ]; then cat layout/banner.html; fi
cat
cat layout/bottom.html
