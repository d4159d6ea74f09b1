# Runs a job of ml-intern: brings along the files that were sent with it, and
# prints last how it has ended, which the Hub does not tell.
work=$(mktemp -d "${PWD%/}/job.XXXXXX" 2>/dev/null || mktemp -d) || exit 125
fail() { echo "ml-intern: $1" >&2; exit 125; }
if [ "${ML_INTERN_PARTS:-0}" -gt 0 ]; then
  part=0
  while [ $part -lt "$ML_INTERN_PARTS" ]; do
    eval "printf %s \"\$ML_INTERN_PART_$part\""
    part=$((part + 1))
  done | base64 -d >"$work/.files" || fail "the job's files cannot be read: the image needs base64"
  part=0
  while [ $part -lt "$ML_INTERN_PARTS" ]; do unset ML_INTERN_PART_$part; part=$((part + 1)); done
  tar -xzf "$work/.files" -C "$work" || fail "the job's files cannot be unpacked: the image needs tar and gzip"
  rm -f "$work/.files"
  cd "$work" || exit 125
fi
# An image without uv runs a script that needs nothing with its own Python.
if [ -n "${ML_INTERN_BARE:-}" ] && ! command -v uv >/dev/null 2>&1; then
  shift "$ML_INTERN_BARE"
  set -- "$(command -v python3 || command -v python || echo python3)" "$@"
fi
export JOB_ID="$ML_INTERN_JOB" JOB_ATTEMPT=0 OUTPUT_DIR="$work/output" PYTHONUNBUFFERED=1
unset ML_INTERN_JOB ML_INTERN_PARTS ML_INTERN_BARE
mkdir -p "$OUTPUT_DIR" || exit 125
kills() { sed -n 's/^oom_kill //p' /sys/fs/cgroup/memory.events 2>/dev/null || true; }
before=$(kills)
# In the background, so that a signal to this shell reaches it.
"$@" </dev/null &
child=$!
exec 2>/dev/null # shells say "Terminated"
trap 'kill -TERM $child 2>/dev/null' TERM INT HUP
wait $child
code=$?
while kill -0 $child 2>/dev/null; do
  wait $child
  code=$?
done
memory=
if [ $code -eq 137 ] && [ "$(kills)" != "$before" ]; then memory=' for lack of memory'; fi
printf '\n===== Job %s ended with exit code %s%s =====\n' "$JOB_ID" "$code" "$memory"
exit $code
