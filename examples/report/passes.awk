# A bar for each line of the table, as LaTeX draws it.
BEGIN { FS = "," }
NR > 1 { label[NR - 1] = $1; value[NR - 1] = $2 }
END {
    bars = NR - 1
    print "\\setlength{\\unitlength}{1mm}"
    printf "\\begin{picture}(100,%d)\n", bars * 7
    for (bar = 1; bar <= bars; bar++) {
        y = (bars - bar) * 7
        printf "  \\put(0,%d){\\makebox(46,4)[r]{%s}}\n", y, label[bar]
        printf "  \\put(50,%d){\\rule{%dmm}{4mm}}\n", y, value[bar] * 12
        printf "  \\put(%d,%d){\\makebox(8,4){%s}}\n", 50 + value[bar] * 12, y, value[bar]
    }
    print "\\end{picture}"
}
