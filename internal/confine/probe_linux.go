package confine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Probe says which walls this machine can put up. It makes a cell and ends it.
func Probe(ctx context.Context, program ...string) []Layer {
	c := New(Rules{}, program...)
	cell, err := c.start(ctx, c.Rules())
	if err == nil {
		cell.end()
	}
	layer := func(name, level string) Layer {
		if err != nil {
			return Layer{Name: name, Level: err.Error()}
		}
		return Layer{Name: name, Holds: true, Level: level}
	}
	version := landlockVersion()
	layers := []Layer{
		layer(layerMounts, "files of the machine read-only, secrets covered, own /dev, /proc and /tmp"),
		{Name: layerLandlock, Holds: version >= landlockLeast, Optional: true, Level: landlockLevel(version)},
		layer(layerSeccomp, fmt.Sprintf("%d system calls refused", len(forbidden)+len(forbiddenHere))),
		layer(layerProcesses, "no process outside is seen or outlives its command"),
		layer(layerNetwork, "loopback only, with the proxy on it"),
		layer(layerIPC, "own shared memory and message queues"),
		layer(layerCapabilities, "none, and none to be had"),
		layer(layerDescriptors, "no open file of ours"),
		layer(layerLimits, "memory of a process, number of processes, no core dumps"),
	}
	return append(layers, cgroupLayer())
}

func landlockLevel(version int) string {
	switch {
	case version == 0:
		return "this kernel has none, or it is not enabled: commands have the mounts alone, jobs are refused"
	case version < landlockLeast:
		return fmt.Sprintf("version %d, and %d is needed: commands have the mounts alone, jobs are refused", version, landlockLeast)
	case version < 6:
		return fmt.Sprintf("version %d: files; signals and abstract sockets are kept by the namespaces alone", version)
	}
	return fmt.Sprintf("version %d: files, signals, abstract sockets", version)
}

// cgroupLayer says whether a cgroup could hold a command's memory. None is used
// yet.
func cgroupLayer() Layer {
	l := Layer{Name: layerCgroup, Optional: true}
	data, err := os.ReadFile("/proc/self/cgroup")
	_, own, ok := strings.Cut("\n"+string(data), "\n0::")
	if err != nil || !ok {
		l.Level = "no cgroup v2: memory is limited for each process, not for all of a command"
		return l
	}
	own, _, _ = strings.Cut(own, "\n")
	controllers, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", own, "cgroup.controllers"))
	if err != nil || !strings.Contains(string(controllers), "memory") {
		l.Level = "memory is not delegated to this process: it is limited for each process, not for all of a command"
		return l
	}
	l.Level = "there is one, and it is not used yet: memory is limited for each process, not for all of a command"
	return l
}
