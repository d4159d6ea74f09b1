package confine

import (
	"path/filepath"
	"slices"
)

// machineHidden are what no command needs of a machine: sockets of its
// services, secrets of its administration, its kernel's inside.
var machineHidden = []string{
	"/run", "/var/run", "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/ssh", "/etc/sudoers", "/etc/sudoers.d",
	"/etc/krb5.keytab", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security", "/sys/firmware", "/var/spool/cron",
	"/mnt/wsl", "/mnt/wslg", "/mnt/secrets-store",
	"/etc/security/opasswd", "/etc/ssl/private", "/etc/pki/tls/private", "/etc/letsencrypt", "/etc/wireguard", "/etc/openvpn", "/etc/munge",
	"/etc/NetworkManager/system-connections", "/etc/kubernetes", "/etc/rancher", "/var/lib/kubelet", "/var/lib/sss", "/var/lib/cloud",
	"/var/backups", "/var/mail", "/var/spool/mail", "/var/spool/at",
}

// Machine are the files and folders of every machine that are hidden, and those
// below them that are not.
func Machine() (hidden, readable []string) {
	return slices.Clone(machineHidden), slices.Clone(machineReadable)
}

// machineReadable are folders below them that programs are in.
var machineReadable = []string{"/run/current-system", "/run/booted-system", "/run/opengl-driver", "/run/opengl-driver-32", "/run/host/usr"}

// machine adds to the rules what holds on every machine. A folder that the
// rules name themselves stays as they say.
func (r Rules) machine() Rules {
	r.Hidden = append(append([]string(nil), r.Hidden...), machineHidden...)
	r.Readable = append(append([]string(nil), r.Readable...), machineReadable...)
	if resolver, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil && r.Network {
		r.Readable = append(r.Readable, resolver)
	}
	if r.GPUs { // those that are there now: the driver makes some when it is first used
		r.Devices = slices.Concat(r.Devices, GPUs())
		slices.Sort(r.Devices)
		r.Devices = slices.Compact(r.Devices)
	}
	return r
}

// GPUs are the device nodes of the accelerators of this machine.
func GPUs() []string {
	var nodes []string
	for _, pattern := range []string{"/dev/nvidia*", "/dev/nvidia-caps", "/dev/kfd", "/dev/dri"} {
		found, _ := filepath.Glob(pattern) // the patterns are good
		nodes = append(nodes, found...)
	}
	return nodes
}
