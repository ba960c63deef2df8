# The body of a page as HTML: paragraphs between empty lines, and `include FILE` for lines that stand elsewhere.
function escaped(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    gsub(/>/, "\\&gt;", text)
    return text
}
function close_paragraph() {
    if (open) print "</p>"
    open = 0
}
FNR == 1, /^$/ { next }
/^$/ { close_paragraph(); next }
$1 == "include" {
    close_paragraph()
    print "<pre>"
    while ((getline line < $2) > 0) print escaped(line)
    close($2)
    print "</pre>"
    next
}
{
    if (!open) print "<p>"
    open = 1
    print escaped($0)
}
END { close_paragraph() }
