
# What follows is the same for all jobs. Names begin with mli_, since the job's
# secrets are variables of this shell too.

mli_note() { printf '%s\n' "$*" >>"$mli_state/history"; }

mli_now() { date +%s.%N; }

# mli_end CODE HOW WHY...: nothing follows but a next attempt.
mli_end() {
	[ "$2" = asked ] || rm -f "$mli_state"/secrets.*
	[ -z "$mli_gauger" ] || kill -KILL -- "-$mli_gauger" 2>/dev/null
	rm -f "$mli_state"/gauge*
	mli_note end "$mli_attempt" "$(mli_now)" "$@"
	exit "$1"
}

# Sets the job's secrets: each is a line of a file, mixed with random bytes that
# only Slurm has.
mli_reveal() {
	local mli_pad=${MLI_PAD#*:} mli_name mli_mixed mli_i mli_text LC_ALL=C
	while read -r mli_name mli_mixed; do
		mli_text=
		for ((mli_i = 0; mli_i < ${#mli_mixed}; mli_i += 2)); do
			printf -v mli_text '%s\\x%02x' "$mli_text" $((16#${mli_mixed:mli_i:2} ^ 16#${mli_pad:mli_i:2}))
		done
		mli_pad=${mli_pad:${#mli_mixed}}
		printf -v "$mli_name" '%b' "$mli_text"
		export "${mli_name?}"
	done <"$mli_state/secrets.${MLI_PAD%%:*}"
}

# Writes down once a minute what the GPUs do that Slurm has given the job: only
# here can that be seen, and a step of Slurm for each look would be too much.
mli_gauges() {
	local mli_bounded=''
	unset MLI_PAD
	type -P timeout >/dev/null && mli_bounded='timeout 10'
	while [ -d "$mli_state" ]; do
		{
			echo "look $(date +%s) $CUDA_VISIBLE_DEVICES"
			$mli_bounded nvidia-smi "$mli_query" --format=csv,noheader,nounits | head -n 64 | sed 's/^/gpu /'
		} | head -c 16384 >"$mli_state/gauge.new" && mv -f "$mli_state/gauge.new" "$mli_state/gauge"
		sleep 60
	done
}

mli_umask=$(umask) mli_gauger=''
umask 077
[ -d "$mli_state" ] || { echo "$mli_state is not seen on this node, or was removed: nothing is run" >&2; exit 98; }

# Whoever makes the link first has the job, whatever else Slurm was sent.
mli_ref=$SLURM_JOB_ID
[ -z "$SLURM_ARRAY_TASK_ID" ] || mli_ref=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
ln -s "$mli_ref" "$mli_state/claim" 2>/dev/null
[ "$(readlink "$mli_state/claim")" = "$mli_ref" ] || exit 0

mli_attempt=${SLURM_RESTART_COUNT:-0}
# One that ended by itself is not run again, whoever requeues it.
grep -q '^end [0-9]* [0-9.]* [0-9]* [^a]' "$mli_state/history" 2>/dev/null && exit 0
[ -e "$mli_state/cancel" ] && mli_end 143 canceled
[ "$mli_attempt" -le "$mli_retries" ] || mli_end 143 preempted
mli_note start "$mli_attempt" "$(mli_now)" "$mli_ref" "${SLURMD_NODENAME:-$(hostname)}"

# Slurm asks all processes to end, and kills them after its KillWait: the job
# may save something. One that was canceled has two seconds.
mli_asked='' mli_child=''
mli_term() {
	mli_asked=asked
	[ -n "$mli_child" ] && [ -e "$mli_state/cancel" ] && { sleep 2; kill -KILL -- "-$mli_child" 2>/dev/null; } &
}
trap mli_term TERM

mli_fail() {
	printf '[%s]\n' "$2" >>"$mli_state/log"
	mli_end "$1" failed "$2"
}
mkdir -p "$mli_output" || mli_fail 98 "node ${SLURMD_NODENAME:-$(hostname)} cannot make the folder $mli_output"
cd "$mli_dir" || mli_fail 98 "node ${SLURMD_NODENAME:-$(hostname)} does not see the job's folder $mli_dir"

# The job's parent. It tells the job's exit code: a wait that a signal ends may
# lose it.
mli_run() {
	trap : TERM
	set +m
	umask "$mli_umask"
	export PYTHONUNBUFFERED=1
	export OMP_NUM_THREADS="$mli_cpus" OPENBLAS_NUM_THREADS="$mli_cpus" MKL_NUM_THREADS="$mli_cpus"
	mli_setup
	mli_environ
	[ -z "$MLI_PAD" ] || mli_reveal
	export -n MLI_PAD
	export JOB_ID="$mli_id" OUTPUT_DIR="$mli_output" JOB_ATTEMPT="$mli_attempt"
	type -P -- "$1" >/dev/null || { echo "[$1 is not there on node ${SLURMD_NODENAME:-$(hostname)}]"; exit 127; }
	exec 4>&2 2>/dev/null # this shell has nothing to say of how the job ended
	(exec -- "$@" 2>&4 4>&-)
	mli_code=$?
	echo "$mli_code" >"$mli_state/code.$mli_attempt"
	exit "$mli_code"
}

if [ "$mli_gpus" -gt 0 ] && type -P nvidia-smi >/dev/null; then
	set -m # a process group of its own
	mli_gauges </dev/null >/dev/null 2>&1 &
	mli_gauger=$!
	disown
	set +m
fi

exec 3>>"$mli_state/log"
mli_masked=''
if [ -n "$MLI_PAD" ]; then
	# What the job says goes through a filter that knows its secrets.
	[ -r "$mli_state/secrets.${MLI_PAD%%:*}" ] || mli_fail 98 "the job's secrets are not seen on node ${SLURMD_NODENAME:-$(hostname)}"
	type -P -- "$mli_python" >/dev/null || mli_fail 127 "a job with secrets needs $mli_python on its node, to keep them out of the log"
	mli_masked=$mli_state/masked.$mli_attempt
	exec 3> >(trap '' TERM; mli_reveal; exec "$mli_python" -I "$mli_state/mask.py" "$mli_masked" $mli_secrets >>"$mli_state/log")
fi
[ -z "$mli_asked" ] || mli_end 143 asked

set -m # a process group of its own
mli_run "${mli_argv[@]}" </dev/null >&3 2>&1 3>&- &
mli_child=$!
set +m
exec 3>&-
while :; do
	wait "$mli_child"
	mli_code=$?
	kill -0 "$mli_child" 2>/dev/null || break
	sleep 0.1 # a signal has ended the wait
done
if [ -s "$mli_state/code.$mli_attempt" ]; then
	read -r mli_code <"$mli_state/code.$mli_attempt"
elif [ "$mli_code" -lt 0 ] || [ "$mli_code" -gt 255 ]; then
	mli_code=137 # they were killed together
fi
rm -f "$mli_state/code.$mli_attempt"
# Who was killed with the job may hear of it a little later.
[ "$mli_code" -le 128 ] || sleep 0.3
if [ -n "$mli_masked" ]; then
	for ((mli_i = 0; mli_i < 50; mli_i++)); do
		[ -e "$mli_masked" ] && break
		sleep 0.1
	done
	rm -f "$mli_masked"
fi
[ -n "$mli_asked" ] && [ -e "$mli_state/cancel" ] && mli_end "$mli_code" asked canceled
mli_end "$mli_code" "${mli_asked:-itself}"
