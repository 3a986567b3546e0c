# Runs "$@" and ends it when standard input ends, that is when the program that started this ends, however it ends.
# It ignores the interrupt key itself, so that it is still there to pass on the end.
trap '' INT
exec 3<&0
"$@" 3<&- </dev/null & child=$!
{ cat <&3 >/dev/null; kill "$child" 2>/dev/null; } & watcher=$!
exec 3<&-
wait "$child"; status=$?
kill "$watcher" 2>/dev/null
exit "$status"
