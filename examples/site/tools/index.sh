# index.sh: the first page, with links to all pages and topics that were made.
set -eu
links() {
    echo "<ul>"
    for file in "$@"; do
        if [ "$file" = html/index.html ]; then continue; fi
        title=$(sed -n 's|^<h1>\(.*\)</h1>$|\1|p' "$file")
        echo "<li><a href=\"${file#html/}\">$title</a></li>"
    done
    echo "</ul>"
}
{
    links html/*.html
    echo "<h2>Topics</h2>"
    links html/topics/*.html
} | sh tools/frame.sh "A small site"
