# A header with a table: one number a line, and its square.
BEGIN { print "static const int squares[] = {" }
{ print "    " $1 * $1 "," }
END { print "};" }
