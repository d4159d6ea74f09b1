package confine

import (
	"os"
	"time"
)

// An attempt is one way to get out, by a shell or by Python.
type attempt struct {
	name, layer string // the layer that refuses it
	sh, py      string
	hard        bool // it may cost its own command, and is not tried without the layer
	after       time.Duration
	during      func(p *prison)
}

// preamble is for attempts in Python: escaped says so if f does not fail.
const preamble = `
import os, socket, ctypes, sys, struct, time, mmap
E = os.environ
libc = ctypes.CDLL(None, use_errno=True)
def escaped(f, *a):
    try: r = f(*a)
    except Exception as e: print(e); return
    print("ESCAPED", r)
def call(*a):
    if libc.syscall(*a) < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def tcp(host, port):
    f = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(f, socket.SOCK_STREAM); s.settimeout(1); s.connect((host, int(port)))
`

var attempts = []attempt{
	// What is hidden.
	{name: "read a key", layer: layerMounts, sh: `cat $HOME/.ssh/id_rsa`},
	{name: "read a key by a link", layer: layerMounts, sh: `ln -s $HOME/.ssh/id_rsa l; cat l`},
	{name: "read a key by /proc/self/root", layer: layerMounts, sh: `cat /proc/self/root$HOME/.ssh/id_rsa`},
	{name: "read a key by /proc/1/root", layer: layerMounts, sh: `cat /proc/1/root$HOME/.ssh/id_rsa`},
	{name: "read a key by ..", layer: layerMounts, sh: `cat $WS/../home/.ssh/id_rsa`},
	{name: "read a key by an open folder", layer: layerMounts, py: `d = os.open("/", os.O_PATH); escaped(lambda: os.read(os.open(E["HOME"][1:] + "/.ssh/id_rsa", os.O_RDONLY, dir_fd=d), 99) or 1/0)`},
	{name: "read a key by a copied binary", layer: layerMounts, sh: `cp /bin/cat ./dog; ./dog $HOME/.ssh/id_rsa`},
	{name: "read a key by a hard link", layer: layerMounts, sh: `ln $HOME/.netrc ./n; cat n`},
	{name: "read a key by renaming its folder", layer: layerMounts, sh: `mv $HOME/.ssh $WS/s; cat $WS/s/id_rsa`},
	{name: "read a key by renaming its home", layer: layerMounts, sh: `mv $HOME $B/h2; cat $B/h2/.ssh/id_rsa`},
	{name: "read a single file", layer: layerMounts, sh: `cat $HOME/.netrc`},
	{name: "read .env of the workspace", layer: layerMounts, sh: `cat .env`},
	{name: "move .env and read it", layer: layerMounts, sh: `mv .env e; cat e`},
	{name: "link .env and read it", layer: layerMounts, sh: `ln .env e; cat e`},
	{name: "read the store", layer: layerMounts, sh: `cat $B/state/sessions.db`},
	{name: "read the configuration", layer: layerMounts, sh: `cat $B/config/config.yaml`},
	{name: "grep the whole tree", layer: layerMounts, sh: `grep -rs SECRET $B --exclude-dir=proc`},
	{name: "read the machine's passwords", layer: layerMounts, sh: `test -s /etc/shadow && cat /etc/shadow >/dev/null && echo ESCAPED`},
	{
		name: "read a key that came later", layer: layerLandlock, during: late,
		sh: `for i in 1 2 3 4 5 6 7 8 9; do cat $HOME/.late/key 2>/dev/null; sleep 0.1; done`,
	},

	// The agent itself.
	{name: "write the store", layer: layerMounts, sh: `echo x > $B/state/sessions.db`},
	{name: "replace the store", layer: layerMounts, sh: `echo x > x; mv x $B/state/sessions.db`},
	{name: "delete the store", layer: layerMounts, sh: `rm -rf $B/state`},
	{name: "move the store away", layer: layerMounts, sh: `mv $B/state $B/gone`},
	{name: "write the configuration", layer: layerMounts, sh: `echo x >> $B/config/config.yaml`},
	{name: "make a configuration for the project", layer: layerMounts, sh: `mkdir -p .ml-intern; echo 'approve: auto' > .ml-intern/config.yaml`},
	{name: "link a configuration for the project", layer: layerMounts, sh: `mkdir evil; ln -s evil .ml-intern`},
	{name: "kill the agent", layer: layerProcesses, sh: `kill -0 $AGENT && echo ESCAPED`},

	// What runs later, outside.
	{name: "write a hook", layer: layerMounts, sh: `echo x > .git/hooks/pre-commit`},
	{name: "write a hook by /proc/self/cwd", layer: layerMounts, sh: `echo x > /proc/self/cwd/.git/hooks/pre-commit`},
	{name: "write a hook by an open folder", layer: layerMounts, sh: `exec 3<.git/hooks; echo x > /proc/self/fd/3/pre-commit`},
	{name: "write a hook after renaming .git", layer: layerMounts, sh: `mv .git .old; mkdir -p .git/hooks; echo x > .git/hooks/pre-commit`},
	{name: "write a hook after renaming hooks", layer: layerMounts, sh: `mv .git/hooks .git/h; mkdir .git/hooks; echo x > .git/hooks/pre-commit`},
	{name: "put a link in place of hooks", layer: layerMounts, sh: `mkdir evil; ln -sfn ../evil .git/hooks; rm -rf .git/hooks && ln -s ../evil .git/hooks`},
	{name: "exchange hooks", layer: layerMounts, py: `os.mkdir("evil"); escaped(call, 316, -100, b"evil", -100, b".git/hooks", 2)`},
	{name: "change a sample in place", layer: layerMounts, sh: `chmod 777 .git/hooks/update.sample; echo x > .git/hooks/update.sample`},
	{name: "set a program in git's configuration", layer: layerMounts, sh: `git config core.fsmonitor 'touch x'; echo '[core] fsmonitor = x' >> .git/config`},
	{name: "write git's configuration by a hard link", layer: layerMounts, sh: `ln .git/config c; echo x >> c`},
	{name: "replace git's configuration", layer: layerMounts, sh: `echo x > c; mv -f c .git/config`},
	{name: "point .git elsewhere", layer: layerMounts, sh: `mkdir evil; echo ../evil > .git/commondir`},
	{name: "write a start file of the project", layer: layerMounts, sh: `echo x > .envrc; echo x > .bashrc`},
	{name: "write the shell's start file", layer: layerMounts, sh: `echo 'export LD_PRELOAD=/x.so' >> $HOME/.bashrc`},
	{name: "make a start file", layer: layerMounts, sh: `echo 'export LD_PRELOAD=/x.so' > $HOME/.profile`},
	{name: "write a start file by a link", layer: layerMounts, sh: `ln -s $HOME/.bashrc b; echo x >> b`},
	{name: "authorize a key", layer: layerMounts, sh: `mkdir -p $HOME/.ssh; echo x >> $HOME/.ssh/authorized_keys`},
	{name: "make a systemd user unit", layer: layerMounts, sh: `mkdir -p $HOME/.config/systemd/user; echo x > $HOME/.config/systemd/user/x.service`},
	{name: "make an autostart entry", layer: layerMounts, sh: `mkdir -p $HOME/.config/autostart; echo x > $HOME/.config/autostart/x.desktop`},
	{name: "put a program on the PATH", layer: layerMounts, sh: `mkdir -p $HOME/.local/bin; echo x > $HOME/.local/bin/git; echo x > /usr/local/bin/ml-intern-escape`},
	{name: "plant usercustomize", layer: layerMounts, py: `import site; d = site.getusersitepackages(); os.makedirs(d); open(d + "/usercustomize.py", "w")`},
	{name: "plant sitecustomize", layer: layerMounts, py: `import site
for d in site.getsitepackages(): escaped(open, d + "/ml_intern_escape.pth", "x")`},
	{name: "add to crontabs", layer: layerMounts, sh: `echo x > /etc/cron.d/ml-intern-escape; echo x > /var/spool/cron/crontabs/ml-intern-escape`},
	{name: "write /etc", layer: layerMounts, sh: `echo x > /etc/ml-intern-escape; echo x > /etc/profile.d/ml-intern-escape.sh`},
	{name: "write the machine's temporary folders", layer: layerMounts, sh: `echo x > /tmp/ml-intern-escape; echo x > /var/tmp/ml-intern-escape`},
	{name: "leave a file in shared memory", layer: layerMounts, sh: `echo x > /dev/shm/ml-intern-escape`},
	{name: "change the mode of a file outside", layer: layerMounts, sh: `chmod 777 $HOME/.bashrc; chmod 777 $HOME/.ssh/id_rsa; chmod 777 $B/state`},
	{name: "change the mode of an open file", layer: layerMounts, py: `escaped(os.fchmod, os.open(E["HOME"] + "/.bashrc", os.O_RDONLY), 0o777)`},
	{name: "change the mode by a link", layer: layerMounts, sh: `ln -s $HOME/.bashrc m; chmod 777 m`},
	{name: "change times outside", layer: layerMounts, py: `escaped(os.utime, E["HOME"] + "/.bashrc", (1, 1)); escaped(os.utime, os.open(E["HOME"] + "/.bashrc", os.O_RDONLY), (1, 1))`},
	{name: "mark a file outside", layer: layerMounts, py: `escaped(os.setxattr, E["HOME"] + "/.bashrc", "user.x", b"x")`},
	{name: "win a race of links", layer: layerMounts, py: `
end = time.time() + 1
pid = os.fork()
while time.time() < end:
    try:
        if pid:
            os.symlink(E["HOME"], "race"); os.remove("race")
        else:
            os.makedirs("race", exist_ok=True)
            open("race/planted", "w"); os.remove("race/planted"); os.rmdir("race")
    except OSError: pass
`},

	// The kernel by its files.
	{name: "set the core pattern", layer: layerMounts, py: `escaped(open, "/proc/sys/kernel/core_pattern", "r+")`},
	{name: "press a system request", layer: layerMounts, py: `escaped(open, "/proc/sysrq-trigger", "w")`},
	{name: "write a setting of the kernel", layer: layerMounts, py: `escaped(open, "/sys/kernel/uevent_helper", "r+"); escaped(open, "/sys/power/state", "r+")`},
	{name: "make a cgroup", layer: layerMounts, sh: `for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/ml-intern-escape && echo ESCAPED && rmdir $d/ml-intern-escape; done`},
	{name: "open devices", layer: layerMounts, py: `
for d in "mem kmsg port fuse kvm vda sda loop0 loop-control tty0 console vsock btrfs-control".split(): escaped(open, "/dev/" + d, "rb")`},
	{name: "make a device", layer: layerSeccomp, py: `escaped(lambda: os.mknod("null2", 0o20666, os.makedev(1, 3)))`},

	// System calls.
	{name: "a namespace of users", layer: layerSeccomp, py: `escaped(call, 272, 0x10000000)`},
	{name: "a namespace by clone", layer: layerSeccomp, py: `
def f():
    if libc.syscall(56, 0x10000011, 0, 0, 0, 0) == 0: os._exit(0)
    if ctypes.get_errno(): raise OSError(ctypes.get_errno())
escaped(f)`},
	{name: "enter a namespace", layer: layerSeccomp, py: `escaped(lambda: call(308, os.open("/proc/self/ns/uts", 0), 0))`},
	{name: "mount", layer: layerSeccomp, sh: `unshare -Urm true && echo ESCAPED; mount -t tmpfs x $WS && echo ESCAPED`},
	{name: "unmount a cover", layer: layerSeccomp, sh: `umount $HOME/.ssh; umount -l $HOME/.ssh; cat $HOME/.ssh/id_rsa`},
	{name: "a new mount by fsopen", layer: layerSeccomp, py: `escaped(call, 430, b"tmpfs", 0)`},
	{name: "clone a mount", layer: layerSeccomp, py: `escaped(call, 428, -100, b"/", 1)`},
	{name: "chroot", layer: layerSeccomp, py: `escaped(os.chroot, ".")`},
	{name: "trace a process", layer: layerSeccomp, py: `
def f():
    if libc.ptrace(0, 0, 0, 0) < 0: raise OSError(ctypes.get_errno())
escaped(f)`},
	{name: "read memory of a process", layer: layerSeccomp, py: `
b = ctypes.create_string_buffer(8); v = (ctypes.c_void_p * 2)(ctypes.addressof(b), 8)
escaped(call, 310, os.getpid(), v, 1, v, 1, 0)`},
	{name: "bpf", layer: layerSeccomp, py: `
try: call(321, 0, 0, 0)
except OSError as e:
    if e.errno != 1: print("ESCAPED: reached", e)`},
	{name: "a key of the kernel", layer: layerSeccomp, py: `escaped(call, 248, b"user", b"x", b"y", 1, -3)`},
	{name: "io_uring", layer: layerSeccomp, py: `escaped(call, 425, 1, ctypes.create_string_buffer(120))`},
	{name: "userfaultfd", layer: layerSeccomp, py: `escaped(call, 323, 1)`},
	{name: "performance events", layer: layerSeccomp, py: `
b = ctypes.create_string_buffer(128); struct.pack_into("IIQ", b, 0, 1, 128, 1)
escaped(call, 298, b, 0, -1, -1, 0)`},
	{name: "a file by its handle", layer: layerSeccomp, py: `
try: call(304, -100, ctypes.create_string_buffer(64), 0)
except OSError as e:
    if e.errno != 1 : print("reached", e)
    if e.errno not in (1, 22): print("ESCAPED")`},
	{name: "make a file run as its owner", layer: layerSeccomp, sh: `cp /bin/true t; chmod u+s t && echo ESCAPED`},
	{name: "create a file that runs as its owner", layer: layerSeccomp, py: `os.umask(0); escaped(lambda: os.open("suid", os.O_CREAT | os.O_WRONLY, 0o4755))`},
	{name: "type into a terminal", layer: layerSeccomp, py: `
import fcntl, termios
def f():
    os.setsid() if os.getpid() != os.getsid(0) else None
    m, s = os.openpty(); fcntl.ioctl(s, termios.TIOCSCTTY, 0); fcntl.ioctl(s, termios.TIOCSTI, b"x")
try: f(); print("ESCAPED")
except OSError as e:
    if e.errno not in (1, 5, 13): print("ESCAPED?", e)`},
	{name: "a socket to the hypervisor", layer: layerSeccomp, py: `escaped(socket.socket, 40, socket.SOCK_STREAM)`},
	{name: "a socket to the kernel's ciphers", layer: layerSeccomp, py: `escaped(socket.socket, 38, socket.SOCK_SEQPACKET)`},
	{name: "a packet socket", layer: layerSeccomp, py: `escaped(socket.socket, socket.AF_PACKET, socket.SOCK_RAW)`},
	{name: "netlink beyond addresses", layer: layerSeccomp, py: `escaped(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 12)`},
	{name: "calls of 32 bits", layer: layerSeccomp, py: `
m = mmap.mmap(-1, 4096, prot=7)
m.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))
if os.uname().machine == "x86_64" and f() > 0: print("ESCAPED")`},
	{name: "calls of x32", layer: layerSeccomp, py: `
r = libc.syscall(0x40000000 + 39)
if r > 0: print("ESCAPED")`, hard: true},
	{name: "load a module", layer: layerSeccomp, py: `
try: call(175, 0, 0, 0)
except OSError as e: print(e)`},

	// Processes.
	{name: "see a process outside", layer: layerProcesses, sh: `cat /proc/$VICTIM/cmdline`},
	{name: "find a process outside", layer: layerProcesses, sh: `cat /proc/[0-9]*/cmdline | tr '\0' '\n' | grep -a SECRET`},
	{name: "read the environment of a process outside", layer: layerProcesses, sh: `cat /proc/$VICTIM/environ`},
	{name: "read all environments", layer: layerProcesses, sh: `cat /proc/[0-9]*/environ | tr '\0' '\n' | grep -a SECRET`},
	{name: "read memory of a process outside", layer: layerProcesses, py: `escaped(open, "/proc/%s/mem" % E["VICTIM"], "rb")`},
	{name: "read memory of the cell", layer: layerProcesses, py: `escaped(open, "/proc/1/mem", "rb")`},
	{name: "read the environment of the cell", layer: layerProcesses, sh: `cat /proc/1/environ && echo ESCAPED`},
	{name: "kill a process outside", layer: layerProcesses, sh: `kill -9 $VICTIM`},
	{name: "kill all processes", layer: layerProcesses, sh: `kill -9 -1`, hard: true},
	{name: "limit a process outside", layer: layerProcesses, py: `import resource; escaped(resource.prlimit, int(E["VICTIM"]), resource.RLIMIT_FSIZE, (0, 0))`},
	{name: "slow a process outside down", layer: layerProcesses, py: `
escaped(os.setpriority, os.PRIO_PROCESS, int(E["VICTIM"]), 19); escaped(os.sched_setscheduler, int(E["VICTIM"]), os.SCHED_IDLE, os.sched_param(0))`},
	{name: "move a process outside to one processor", layer: layerProcesses, py: `escaped(os.sched_setaffinity, int(E["VICTIM"]), {0})`},
	{name: "signal the cell", layer: layerLandlock, sh: `kill -0 1 && echo ESCAPED`},
	{name: "kill the cell", layer: layerLandlock, sh: `kill -9 1 && echo ESCAPED`},
	{name: "outlive the command", layer: layerProcesses, after: 1500 * time.Millisecond, sh: `setsid sh -c 'sleep 1; touch survivor' >/dev/null 2>&1 &`},
	{name: "outlive the command as a daemon", layer: layerProcesses, after: 1500 * time.Millisecond, py: `
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in (0, 1, 2): os.close(n)
        time.sleep(1); open("survivor", "w")
    os._exit(0)
time.sleep(0.2)`},

	// The network.
	{name: "a port of this machine", layer: layerNetwork, py: `tcp("127.0.0.1", E["PORT"])`},
	{name: "a port by IPv6", layer: layerNetwork, py: `tcp("::1", E["PORT6"])`},
	{name: "a port by its address", layer: layerNetwork, py: `tcp(E["HOSTIP"], E["PORTALL"])`},
	{name: "a datagram", layer: layerNetwork, py: `socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(E["UDPPORT"])))`},
	{name: "a route to the internet", layer: layerNetwork, py: `
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); escaped(s.connect, ("192.0.2.1", 53))`},
	{name: "ask for a name", layer: layerNetwork, py: `escaped(socket.getaddrinfo, "huggingface.co", 443)`},
	{name: "see the machine's interfaces", layer: layerNetwork, py: `
if [n for _, n in socket.if_nameindex() if n not in ("lo", "sit0", "tunl0", "ip6tnl0", "gre0")]: print("ESCAPED")`},
	{name: "an abstract socket", layer: layerNetwork, py: `s = socket.socket(socket.AF_UNIX); s.connect("\0" + E["ABSTRACT"])`},
	{name: "a socket in a folder by datagrams", layer: layerMounts, py: `
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); a.sendto(b"x", E["HOME"] + "/host.sock")`},
	{name: "a socket in a folder by a link", layer: layerMounts, py: `
os.symlink(E["HOME"] + "/host.sock", "s"); s = socket.socket(socket.AF_UNIX); s.connect("s")`},
	{name: "a socket in a folder by an address that changes", layer: layerMounts, py: `
import threading
good, bad = (E["WS"] + "/own.sock").encode(), (E["HOME"] + "/host.sock").encode()
l = socket.socket(socket.AF_UNIX); l.bind(good); l.listen(99)
b = ctypes.create_string_buffer(110); end = time.time() + 1
def flip():
    while time.time() < end:
        for p in (good, bad): b.raw = struct.pack("H", 1) + p.ljust(108, bytes(1))
def take():
    while True: l.accept()[0].close()
threading.Thread(target=flip).start(); threading.Thread(target=take, daemon=True).start()
while time.time() < end:
    s = socket.socket(socket.AF_UNIX); libc.connect(s.fileno(), b, 110); s.close()`},
	{name: "a socket in a folder", layer: layerMounts, py: `s = socket.socket(socket.AF_UNIX); s.connect(E["HOME"] + "/host.sock")`},
	{name: "the message bus of the desktop, and its keyring", layer: layerMounts, py: `
for p in E["BUSES"].split():
    s = socket.socket(socket.AF_UNIX); escaped(s.connect, p)`},
	{name: "sockets of services", layer: layerMounts, py: `
for top in ("/run", "/var/run"):
    for d, _, names in os.walk(top):
        for n in names:
            s = socket.socket(socket.AF_UNIX); escaped(s.connect, d + "/" + n)`},

	// The rest.
	{name: "shared memory of the machine", layer: layerIPC, py: `
if libc.shmget(int(E["AGENT"]), 4096, 0) >= 0: print("ESCAPED")`},
	{name: "an open file of the agent", layer: layerDescriptors, py: `
for n in range(3, 1024):
    try: os.lseek(n, 0, 0); print(os.read(n, 100))
    except OSError: pass`},
	{name: "any open file", layer: layerDescriptors, py: `
for n in range(3, 1024):
    try: os.fstat(n); print("ESCAPED", os.readlink("/proc/self/fd/%d" % n))
    except OSError: pass`},
	{name: "configure the network", layer: layerCapabilities, py: `
import fcntl
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
escaped(fcntl.ioctl, s, 0x8914, struct.pack("16sH14x", b"lo", 0))`},
	{name: "become another user", layer: layerCapabilities, py: `escaped(os.setresuid, 12, 12, 12)`},
	{name: "give a file away", layer: layerCapabilities, py: `open("f", "w"); escaped(os.chown, "f", 12, 12)`},
	{name: "gain by a program that runs as its owner", layer: layerCapabilities, sh: `grep -q 'NoNewPrivs:.1' /proc/self/status || echo ESCAPED; sudo -n true 2>/dev/null && echo ESCAPED`},
	{name: "more memory than is allowed", layer: layerLimits, py: `escaped(lambda: len(bytearray(2 << 30)))`},
	{name: "a hundred gigabytes", layer: layerLimits, py: `b = []
while True: b.append(bytearray(1 << 30)); print(len(b))`, hard: true},
	{name: "a file without end", layer: layerLimits, sh: `dd if=/dev/zero of=big bs=1M count=20 2>/dev/null && echo ESCAPED`},
	{name: "many processes", layer: layerLimits, py: `
n = 0
try:
    while n < 600:
        if os.fork() == 0: time.sleep(60)
        n += 1
except OSError: pass
if n >= 600: print("ESCAPED", n)`},
	{name: "a fork bomb", layer: layerLimits, sh: `b() { b | b & }; b; sleep 2`, hard: true},
	{name: "a core dump", layer: layerLimits, sh: `test "$(ulimit -c)" = 0 || echo ESCAPED`},
}

// late puts a key where there was none when the command started.
func late(p *prison) {
	_ = os.MkdirAll(p.home+"/.late", 0o755)
	_ = os.WriteFile(p.home+"/.late/key", []byte(secret), 0o644)
}
