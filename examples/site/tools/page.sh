# page.sh FILE: one page of text as HTML. The file starts with `title:` and `topics:`, then the body follows.
set -eu
title=$(sed -n 's/^title: *//p' "$1")
awk -f tools/body.awk "$1" | sh tools/frame.sh "$title"
