# topics.sh FOLDER: a page for each topic, with the pages that name it.
set -eu
mkdir -p "$1"
topics=$(sed -n 's/^topics: *//p' pages/*.txt | tr ' ' '\n' | sort -u)
for topic in $topics; do
    {
        echo "<ul>"
        for page in $(grep -lE "^topics:(.* )? *$topic( |\$)" pages/*.txt); do
            name=$(basename "$page" .txt)
            echo "<li><a href=\"../$name.html\">$(sed -n 's/^title: *//p' "$page")</a></li>"
        done
        echo "</ul>"
    } | sh tools/frame.sh "Pages about $topic" > "$1/$topic.html"
done
