
# What follows is the same for all jobs. Names begin with mli_, since the job's
# secrets are variables of this shell too.

mli_now() { date +%s.%N; }

# A file appears whole.
mli_note() { printf '%s\n' "$2" >"$mli_state/$1.tmp" && mv -f "$mli_state/$1.tmp" "$mli_state/$1"; }

mli_say() { printf '[%s]\n' "$1" >>"$mli_state/log"; }

# mli_end CODE WHY
mli_end() {
	mli_note "end.$mli_attempt" "$1 $(mli_now) $2"
	exit "$1"
}

umask 077
[ -d "$mli_state" ] || { echo "$mli_state is not seen on this node: it must be on a file system that the cluster shares" >&2; exit 98; }

# Whoever makes the link first has the job, whatever else Slurm was sent.
ln -s "$mli_ref" "$mli_state/claim" 2>/dev/null
[ "$(readlink "$mli_state/claim")" = "$mli_ref" ] || exit 0

mli_attempt=${SLURM_RESTART_COUNT:-0}
for ((mli_i = 0; mli_i < mli_attempt; mli_i++)); do
	read -r mli_code mli_when mli_why 2>/dev/null <"$mli_state/end.$mli_i" || continue
	[ "$mli_why" = asked ] || exit "$mli_code" # it had ended by itself
done
[ -e "$mli_state/cancel" ] && mli_end 1 canceled
[ "$mli_attempt" -le "$mli_retries" ] || mli_end 1 preempted
mli_note "start.$mli_attempt" "$(mli_now) ${SLURMD_NODENAME:-$(hostname)}"

# Slurm asks all processes to end, and kills them after its KillWait: the job
# may save something. One that was canceled has two seconds.
mli_asked= mli_child=
mli_term() {
	mli_asked=asked
	mli_note "signal.$mli_attempt" "$(mli_now)"
	[ -n "$mli_child" ] && [ -e "$mli_state/cancel" ] && { sleep 2; kill -KILL -- "-$mli_child" 2>/dev/null; } &
}
trap mli_term TERM

cd "$mli_dir" || { mli_say "the job's folder $mli_dir is not seen on this node"; mli_end 98 setup; }
mkdir -p "$mli_output" || { mli_say "the folder $mli_output cannot be made"; mli_end 98 setup; }
exec 3>>"$mli_state/log"

mli_run() {
	trap - TERM
	umask "$mli_umask"
	export PYTHONUNBUFFERED=1
	export OMP_NUM_THREADS="$mli_cpus" OPENBLAS_NUM_THREADS="$mli_cpus" MKL_NUM_THREADS="$mli_cpus"
	mli_setup
	mli_environ
	export JOB_ID="$mli_id" OUTPUT_DIR="$mli_output" JOB_ATTEMPT="$mli_attempt"
	type -P -- "$1" >/dev/null || { echo "[$1 is not there on node ${SLURMD_NODENAME:-$(hostname)}]"; exit 127; }
	exec -- "$@"
}

mli_masked=
if [ -n "$mli_secrets" ]; then
	# What the job says goes through a filter that knows its secrets.
	type -P -- "$mli_python" >/dev/null || { mli_say "a job with secrets needs $mli_python on its node, to keep them out of the log"; mli_end 127 setup; }
	mli_masked=$mli_state/masked.$mli_attempt
	exec 4>&3 3> >(trap '' TERM; exec "$mli_python" -I "$mli_state/mask.py" "$mli_masked" $mli_secrets >&4 4>&- 2>/dev/null)
	exec 4>&-
fi
[ -n "$mli_asked" ] && mli_end 143 asked

set -m # a process group of its own
mli_run "${mli_argv[@]}" </dev/null >&3 2>&1 3>&- &
mli_child=$!
set +m
exec 3>&-
while :; do
	wait "$mli_child"
	mli_code=$?
	kill -0 "$mli_child" 2>/dev/null || break
done
# The wait may have been ended by the signal, with its number.
wait "$mli_child" 2>/dev/null
mli_last=$?
[ "$mli_last" = 127 ] || mli_code=$mli_last
if [ -n "$mli_masked" ]; then
	for ((mli_i = 0; mli_i < 50; mli_i++)); do
		[ -e "$mli_masked" ] && break
		sleep 0.1
	done
	rm -f "$mli_masked"
fi
mli_end "$mli_code" "$mli_asked"
