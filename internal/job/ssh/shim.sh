#!/bin/sh
# The far half of ml-intern's ssh backend: it runs jobs on this machine, looks
# at them and ends them. It needs sh and the usual programs, nothing else.
#
# Its one rule: a job starts at most once. Each sending of a job has a folder
# of its own, ID/try.NONCE, and a supervisor; the one that makes the link
# ID/start, which can be made once, runs the job there. Files of a try:
#
#   work complete       what was sent; without complete it was cut off
#   run need sha        the job's program and environment, what it needs, its script's hash
#   info                the supervisor: nonce, process, its mark, boot, machine
#   beat                written while the supervisor lives
#   started pid gpus    when it began, its process group, the GPUs it has
#   out log             what it has made and said
#   limit memory        its supervisor ends it for this reason
#   done                how it ended: state, exit code, time, reason
#
# and ID/cancel says that somebody wants the job to end. Secrets come by
# standard input and are in no file and no argument.
set -u
mask=$(umask) # the job's
umask 077
PATH=$PATH:${HOME:-/}/.local/bin:${HOME:-/}/.cargo/bin:/usr/local/bin:/usr/bin:/bin:/usr/lib/wsl/lib
export PATH
root=$(cd "$(dirname "$0")" && pwd -P) || exit 1
self=$root/${0##*/}
tab=$(printf '\t')
host=$(uname -n)

# now prints the time in seconds, with a fraction where date knows one.
now() {
	case $(date +%s.%N) in
	*[!0-9.]*) date +%s ;;
	*) date +%s.%N ;;
	esac
}

# nap is a short pause.
nap() { sleep 0.1 2>/dev/null || sleep 1; }

# boot_id tells this start of the machine from others.
boot_id() {
	cat /proc/sys/kernel/random/boot_id 2>/dev/null || sysctl -n kern.boottime 2>/dev/null | tr -d ' ,{}' || echo unknown
}
boot=$(boot_id)

# mark_of sets mark to what tells a process from later ones of its number; it
# fails if there is none, or one that only waits to be collected.
mark_of() {
	if [ -r /proc/self/stat ]; then
		read -r mark 2>/dev/null <"/proc/$1/stat" || return 1
		mark=${mark##*) }
		case $mark in Z* | X*) return 1 ;; esac
		set -f
		# shellcheck disable=SC2086 # to be split
		set -- $mark
		set +f
		mark=${20}
	else
		mark=$(ps -o lstart= -p "$1" 2>/dev/null | tr -d ' :')
		[ -n "$mark" ]
	fi
}

# lives says whether the supervisor in a try's folder is there. Of one on
# another machine that shares the folder only the beat tells.
lives() {
	read -r _ pid was on at 2>/dev/null <"$1/info" || return 1
	if [ "$at" != "$host" ]; then
		[ -z "$(find "$1/beat" -mmin +10 2>/dev/null)" ]
		return
	fi
	[ "$on" = "$boot" ] && mark_of "$pid" && [ "$mark" = "$was" ]
}

# take makes a try the one that runs the job, if none is.
take() {
	ln -sn "$2" "$root/$1/start" 2>/dev/null
	[ "$(readlink "$root/$1/start")" = "$2" ]
}

# finish records a job's end, once. Room on the disk was taken before.
finish() { # FOLDER STATE CODE REASON
	[ -e "$1/done" ] && return
	printf '%-500.500s\n' "$2 $3 $(now) $4" 1<>"$1/reserve"
	ln "$1/reserve" "$1/done" 2>/dev/null || [ -e "$1/done" ] || mv "$1/reserve" "$1/done"
	rm -f "$root/active/$(basename "$(dirname "$1")")"
}

# strays prints the processes of a job that have left its group.
strays() {
	grep -l -F "JOB_ID=$1" /proc/[0-9]*/environ 2>/dev/null | sed 's|^/proc/||; s|/environ$||'
}

# slay ends every process of a job at once: of a group, and those that left it.
slay() { # ID GROUP
	[ -z "$2" ] || kill -KILL "-$2" 2>/dev/null
	for _ in 1 2 3; do
		left=$(strays "$1")
		[ -n "$left" ] || return 0
		# shellcheck disable=SC2086 # to be split
		kill -KILL $left 2>/dev/null
		nap
	done
}

# bury records the end of a job whose supervisor is gone.
bury() { # ID FOLDER
	read -r _ pid was on at 2>/dev/null <"$2/info" || at=
	why="the process that supervised it was killed, so nobody knows how it ended"
	if [ "$at" != "$host" ]; then
		why="there was no sign of life for ten minutes from $at, where it ran"
	elif [ "$on" != "$boot" ]; then
		why="the machine was restarted while it ran, so nobody knows how it ended"
	else
		pid=
		read -r pid 2>/dev/null <"$2/pid"
		slay "$1" "$pid"
	fi
	finish "$2" lost -1 "$why"
}

# unused ends a job that waited for its turn when its supervisor went.
unused() { # ID TRY
	take "$1" "$2" || return
	rm -f "$root/$1/$2/started"
	finish "$root/$1/$2" failed -1 "it never started: it waited for its turn when the machine was restarted or its supervisor was killed"
}

# look prints what is known of a job in one line.
look() {
	j=$root/$1
	if [ -L "$j/start" ] && [ ! -d "$j/start/" ]; then
		echo "$1${tab}lost$tab-1$tab$tab$tab$tab${tab}its folder was removed from the machine"
		return
	fi
	if [ -L "$j/start" ] && [ ! -e "$j/start/done" ] && ! lives "$j/start" && [ ! -e "$j/start/done" ]; then
		bury "$1" "$(cd "$j/start" && pwd -P)"
	fi
	if [ ! -L "$j/start" ]; then
		gone=
		for try in "$j"/try.*/info; do
			[ -e "$try" ] || continue
			try=${try%/info}
			if lives "$try"; then
				echo "$1${tab}queued${tab}-1$tab$tab$tab$(cat "$try/sha" 2>/dev/null)$tab$tab"
				return
			fi
			gone=${try##*/}
		done
		[ -z "$gone" ] || unused "$1" "$gone"
	fi
	if [ ! -L "$j/start" ]; then
		echo "$1${tab}absent"
		return
	fi
	state=running code=-1 began='' ended='' sha='' gpus='' why=''
	read -r began 2>/dev/null <"$j/start/started"
	read -r sha 2>/dev/null <"$j/start/sha"
	read -r gpus 2>/dev/null <"$j/start/gpus"
	read -r state code ended why 2>/dev/null <"$j/start/done"
	echo "$1$tab$state$tab$code$tab$began$tab$ended$tab$sha$tab$gpus$tab$why"
}

refuse() {
	echo "refused $*"
	exit 0
}

# session becomes a program in a session of its own.
session() {
	if command -v setsid >/dev/null; then
		exec setsid "$@"
	elif command -v perl >/dev/null; then
		# shellcheck disable=SC2016 # for perl
		exec perl -MPOSIX -e 'POSIX::setsid(); exec {$ARGV[0]} @ARGV' "$@"
	fi
	exec python3 -c 'import os, sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])' "$@"
}

# submit takes a job: SIZE bytes of secrets, then a tar. It returns when the
# job has a supervisor, so that it no longer needs who sent it.
submit() { # ID NONCE SIZE
	now
	id=$1 j=$root/$1 try=$root/$1/try.$2
	known=$(look "$id")
	[ "$known" = "$id${tab}absent" ] || { echo "$known"; return; }
	mkdir -p "$try" || refuse "its folder $try cannot be made"
	secrets=
	if [ "$3" -gt 0 ]; then
		case $(type printf) in *builtin*) ;; *) refuse "its sh would show secrets to others" ;; esac
		secrets=$(dd bs=1 count="$3" 2>/dev/null)
	fi
	# Not to a file: the disk may be full.
	said=$(cd "$try" && tar -xof - 2>&1) || refuse "unpack what was sent: $(echo "$said" | head -n 1)"
	[ -e "$try/complete" ] || refuse "what was sent is not all there"
	printf '%s\n' "$secrets" | session sh "$self" supervise "$id" "$2" "$mask" >/dev/null 2>"$try/shim.log" &
	secrets=
	turns=100
	until [ -L "$j/start" ] || [ -e "$try/info" ] || [ -s "$try/shim.log" ] || [ $turns = 0 ]; do
		nap
		turns=$((turns - 1))
	done
	known=$(look "$id")
	if [ "$known" = "$id${tab}absent" ]; then
		# So that it does not start late.
		mkdir -p "$j/try.nobody"
		take "$id" try.nobody && finish "$j/try.nobody" failed -1 "its supervisor did not start: $(tail -n 1 "$try/shim.log")"
		known=$(look "$id")
	fi
	echo "$known"
}

# clean removes from the environment what may be a secret of this machine or
# leads back to who sent the job.
clean() {
	for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
		case $name in
		SSH_* | *TOKEN | *TOKENS | *TOKEN_* | *KEY | *KEYS | *_KEY_* | *SECRET* | *PASSW* | *PASSPHRASE | *CREDENTIAL* | *_AUTH | AUTH_* | *COOKIE*)
			unset "$name"
			;;
		esac
	done
}

# seconds sets up to a clock that nobody sets.
seconds() {
	if read -r up _ 2>/dev/null </proc/uptime; then
		up=${up%%.*}
	else
		up=$(date +%s)
	fi
}

# kills prints how often this machine has killed for want of memory.
kills() { sed -n 's/^oom_kill //p' /proc/vmstat 2>/dev/null; }

# cores prints how many CPUs there are.
cores() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1; }

# supervise runs a job to its end. Its standard input is the secrets.
supervise() { # ID NONCE UMASK
	id=$1 nonce=$2 mask=$3 j=$root/$1
	cd "$j/try.$2" || exit 1
	try=$(pwd -P)
	secrets=$(cat)
	exec </dev/null
	asked=
	trap 'woken=1 asked=1' TERM # a signal ends a wait
	trap woken=1 USR1
	clean
	cpus=1 gpus=0 gputype='' gpumemory=0 memory=0 limit=1
	# shellcheck source=/dev/null
	. ./need # sets these
	printf '%501s' '' >reserve || exit 1
	mark_of $$ || exit 1
	echo 0 >beat
	mkdir -p out "$root/active" "$root/queue"
	echo "$nonce $$ $mark $boot $host" >info.new && mv info.new info || exit 1
	queue
	began_kills=$(kills)
	(
		eval "$secrets"
		umask "$mask"
		session sh ./run
	) >>log 2>&1 &
	child=$!
	echo $child >pid
	secrets=
	watch &
	watcher=$!
	verdict=''
	until await; do
		[ -z "$asked" ] || [ -n "$verdict" ] || judge
	done
	kill -KILL $watcher 2>/dev/null
	slay "$id" "$child"
	[ -n "$verdict" ] || outcome
	finish "$try" "$verdict" "$code" "$reason"
	wake
	exit 0
}

# await waits for the job's program and sets code to how it ended; it fails if
# a signal came before.
await() {
	woken=
	wait "$child"
	code=$?
	[ -n "$woken" ] || return 0
	kill -0 "$child" 2>/dev/null && return 1
	# It ended at that moment: the shell may know how, or has said so above.
	wait "$child"
	set -- $?
	[ "$1" = 127 ] || code=$1
}

# judge says why the supervisor was signaled, and ends the job.
judge() {
	grace=1
	if [ -e memory ]; then
		verdict=out_of_memory reason="it used $(cat memory) MB of memory, its limit is $memory MB" grace=0
	elif [ -e limit ]; then
		verdict=timed_out reason='' grace=3
	elif [ -e ../cancel ]; then
		verdict=canceled reason=canceled
	else
		verdict=canceled reason="its supervisor was asked to end, as when the machine shuts down"
	fi
	kill -TERM "-$child" 2>/dev/null
	until [ $grace = 0 ]; do
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			case $(group "$child") in "0 "*) return ;; esac
			nap
		done
		grace=$((grace - 1))
	done
	kill -KILL "-$child" 2>/dev/null
}

# outcome says how a job has ended that nobody ended.
outcome() {
	reason=
	if [ "$code" = 0 ]; then
		verdict=succeeded
	elif [ "$code" = 137 ] && [ -n "$began_kills" ] && [ "$(kills)" -gt "$began_kills" ]; then
		verdict=out_of_memory reason="the system killed it because the machine's memory ran out"
	elif [ "$code" = 137 ]; then
		verdict=failed reason="it was killed from outside (SIGKILL, exit code 137), most often because the machine's memory ran out"
	elif [ "$code" -gt 128 ] && [ "$code" -lt 193 ]; then
		verdict=failed reason="it was ended by signal $((code - 128)) (exit code $code)"
	else
		verdict=failed reason="it ended with exit code $code"
	fi
}

# watch looks after a running job, beside its supervisor, and for it.
watch() {
	seconds
	end=$((up + limit)) tick=0
	while sleep 1; do
		tick=$((tick + 1))
		lives "$try" || { bury "$id" "$try"; exit; }
		echo $tick >beat
		seconds
		[ "$up" -lt "$end" ] || true >limit
		if [ "$memory" -gt 0 ] && [ ! -e memory ]; then
			used=$(group "$child")
			used=${used#* }
			[ "$used" -le "$memory" ] || echo "$used" >memory
		fi
		# Each time: one signal may have come before the wait that it ends.
		[ ! -e ../cancel ] && [ ! -e limit ] && [ ! -e memory ] || kill -TERM $$
	done
}

# group prints how many processes of a group live, and the MB that they use.
group() {
	if [ -r /proc/self/stat ]; then
		cat /proc/[0-9]*/stat 2>/dev/null | sed 's/^.*) //' |
			awk -v group="$1" -v page="$(getconf PAGESIZE 2>/dev/null || echo 4096)" \
				'$3 == group && $1 != "Z" { n++; pages += $22 } END { print n + 0, int(pages * page / 1048576) }'
	else
		ps -A -o pgid= -o stat= -o rss= |
			awk -v group="$1" '$1 == group && $2 !~ /^Z/ { n++; sum += $3 } END { print n + 0, int(sum / 1024) }'
	fi
}

# queue returns when this try may run the job; if another does, it ends this
# supervisor. Jobs that need GPUs and those that do not wait in two rows, each
# in the order in which they came. Where there is no flock program nobody waits.
queue() {
	row=cpu
	[ "$gpus" = 0 ] || row=gpu
	place=$root/queue/$row.$(now).$id
	echo "$try" >"$place"
	wait=0
	until turn; do
		wait=$((wait + 1))
		echo $wait >beat && [ -e info ] || exit 1 # somebody removed it
		sleep 1 &
		wait $! # or until a signal comes
	done
	rm -f "$place"
	wake
	[ -e ../cancel ] || return 0
	rm -f started
	finish "$try" canceled -1 "canceled before it started"
	exit 0
}

# turn starts the job if it may.
turn() {
	chosen=''
	if [ ! -e ../cancel ] && command -v flock >/dev/null; then
		first || return 1
		exec 9>>"$root/queue/lock"
		flock 9
		room || { exec 9>&-; return 1; }
	fi
	now >started
	[ -z "$chosen" ] || echo "$chosen" >gpus
	[ -L ../start ] || echo "$cpus $chosen" >"$root/active/$id"
	if ! take "$id" "try.$nonce"; then
		rm -f "$place"
		cd / && rm -rf "$try"
		exit 0
	fi
	exec 9>&-
}

# wake makes the first of each row look at once whether it may go.
wake() {
	for row in cpu gpu; do
		for waits in "$root/queue/$row."*; do
			read -r where 2>/dev/null <"$waits" || continue
			lives "$where" && [ "$at" = "$host" ] && kill -USR1 "$pid" 2>/dev/null
			break
		done
	done
}

# first says whether nobody waits in front of this job.
first() {
	for waits in "$root/queue/$row."*; do
		[ "$waits" != "$place" ] || return 0
		read -r where 2>/dev/null <"$waits" || continue
		lives "$where" && return 1
		rm -f "$waits"
	done
}

# room says whether the CPUs and GPUs that the job needs are free, and chooses
# the GPUs. A GPU that somebody else's program uses is not.
room() {
	tally
	chosen=
	[ $(($(cores) - used)) -ge "$cpus" ] || return 1
	[ "$gpus" = 0 ] && return 0
	chosen=$(gpu_list | awk -F', *' -v held="$held," -v want="$gpus" -v type="$gputype" -v least="$gpumemory" '
		index(held, "," $1 ",") { next }
		$3 >= least && $4 < 1024 && (type == "" || index(plain($2), type)) && n < want { out = out (n++ ? "," : "") $1 }
		END { if (n == want) print out }
		function plain(s) { s = tolower(s); gsub(/[-_ ]/, "", s); return s }')
	[ -n "$chosen" ]
}

# tally sets used to the CPUs of the jobs that run, and held to their GPUs. It
# starts no program, for there may be many.
tally() {
	used=0 held=
	for active in "$root/active/"*; do
		[ -e "$active" ] || continue
		theirs=$root/${active##*/}/start
		if [ -e "$theirs/done" ] || ! lives "$theirs"; then
			(look "${active##*/}") >/dev/null # it may have to be buried
			rm -f "$active"
			continue
		fi
		read -r their_cpus their_gpus 2>/dev/null <"$active" || continue
		used=$((used + their_cpus))
		held=$held,$their_gpus
	done
}

# gpu_list prints the GPUs: index, name, memory and used memory in MiB.
gpu_list() { nvidia-smi --query-gpu=index,name,memory.total,memory.used --format=csv,noheader,nounits 2>/dev/null; }

# cancel ends a job, and returns when it is over, or late.
cancel() {
	true >"$root/$1/cancel"
	turns=80
	while now_is=$(look "$1"); [ $turns != 0 ]; do
		case $now_is in
		*"${tab}running${tab}"* | *"${tab}queued${tab}"*) ;;
		*) break ;;
		esac
		[ $turns != 80 ] || hurry "$1"
		nap
		turns=$((turns - 1))
	done
	now
	echo "$now_is"
}

# hurry wakes a job's supervisor, which looks for the wish once a second.
hurry() {
	for info in "$root/$1/try."*/info; do
		lives "${info%/info}" && [ "$at" = "$host" ] && kill -TERM "$pid" 2>/dev/null
	done
}

# show_log prints a job's output from a byte on, and where that is: FROM, less
# BACK bytes.
show_log() { # ID FROM BACK
	log=$root/$1/start/log size=0 from=$2
	[ ! -e "$log" ] || size=$(wc -c <"$log" | tr -d ' ')
	if [ "$from" -lt 0 ]; then
		from=$((size + from))
		[ "$from" -ge 0 ] || from=0
	fi
	begin=$((from - $3))
	[ $begin -ge 0 ] || begin=0
	echo "$from $begin"
	[ "$size" -le $begin ] || tail -c "+$((begin + 1))" "$log" | head -c $((size - begin))
}

# sums prints the SHA-256 of what a job has made.
sums() {
	cd "$root/$1/start/out" || exit 1
	if command -v sha256sum >/dev/null; then
		find . -type f -exec sha256sum {} +
	else
		find . -type f -exec shasum -a 256 {} +
	fi
}

# gauge tells how full the disk is, how busy the GPUs are, and which of them
# each job of this machine has.
gauge() {
	df -Pk "$root" 2>/dev/null | awk 'NR == 2 { for (i = 4; i <= NF; i++) if ($i ~ /%$/) { print "disk", $(i - 1), $(i - 3); exit } }'
	bounded=
	command -v timeout >/dev/null && bounded='timeout 10'
	gpus_known=
	for active in "$root/active/"*; do
		[ -e "$active" ] || continue
		theirs=${active##*/} at=
		read -r _ _ _ _ at 2>/dev/null <"$root/$theirs/start/info"
		[ "$at" = "$host" ] && [ ! -e "$root/$theirs/start/done" ] || continue
		read -r _ their_gpus 2>/dev/null <"$active" || continue
		if [ -n "$their_gpus" ] && [ -z "$gpus_known" ]; then
			gpus_known=1
			$bounded nvidia-smi --query-gpu=index,name,utilization.gpu,memory.used,memory.total --format=csv,noheader,nounits 2>/dev/null | sed 's/^/gpu /'
		fi
		echo "job $theirs $their_gpus"
	done
}

# size prints how many KB a job's folder has. No link is followed.
size() {
	if [ -d "$root/$1" ] && [ ! -L "$root/$1" ]; then
		du -sk "$root/$1" 2>/dev/null | cut -f1
	else
		echo 0
	fi
}

# remove deletes the folder of a job that is over, and says so. A link is
# deleted, and not what it leads to.
remove() {
	case $(look "$1") in
	*"${tab}running${tab}"* | *"${tab}queued${tab}"*) echo "it is not over here"; return ;;
	esac
	rm -f "$root/active/$1" "$root/queue/"?pu.*".$1"
	[ -L "$root/$1" ] || [ ! -d "$root/$1" ] || find "$root/$1" -type d ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null
	if rm -rf "${root:?}/$1"; then echo removed; fi 2>&1
}

# facts tells what this machine is.
facts() {
	echo "cpus $(cores)"
	echo "memory $(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo 2>/dev/null || echo $(($(sysctl -n hw.memsize) / 1024)))"
	echo "load $(cut -d' ' -f1 /proc/loadavg 2>/dev/null || uptime | sed 's/.*averages*: *//; s/[ ,].*//')"
	echo "system $(uname -sm)"
	echo "host $host"
	echo "model $(sed -n '/^model name/{s/.*: //p;q;}' /proc/cpuinfo 2>/dev/null)"
	echo "uv $(command -v uv)"
	echo "python $(command -v python3 || command -v python)"
	tally
	waiting=0
	for waits in "$root/queue/"?pu.*; do
		[ ! -e "$waits" ] || waiting=$((waiting + 1))
	done
	echo "used $used"
	echo "held $held"
	echo "waiting $waiting"
	for program in tar readlink find grep sed awk tail head; do
		command -v $program >/dev/null || echo "lacks $program"
	done
	command -v setsid >/dev/null || command -v perl >/dev/null || command -v python3 >/dev/null || echo "lacks setsid"
	gpu_list | sed 's/^/gpu /'
}

if [ "$1" = supervise ]; then
	supervise "$2" "$3" "$4"
	exit
fi
echo "ml-intern ssh 1" # what the machine says before this is not ours
case $1 in
submit) submit "$2" "$3" "$4" ;;
look)
	now
	shift
	for id; do look "$id"; done
	;;
cancel) cancel "$2" ;;
log) show_log "$2" "$3" "$4" ;;
sums) sums "$2" ;;
fetch) COPYFILE_DISABLE=1 tar -cf - -C "$root/$2/start/out" . ;;
facts) facts ;;
gauge) gauge ;;
peek) peek "$root/$2/start/out" ;;
size) size "$2" ;;
remove) remove "$2" 2>&1 ;;
*) exit 2 ;;
esac
