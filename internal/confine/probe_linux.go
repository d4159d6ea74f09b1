package confine

import (
	"context"
	"fmt"
)

// Probe says which walls this machine can put up. It makes a cell and ends it.
func Probe(ctx context.Context, program ...string) []Layer {
	return New(Rules{}, program...).probe(ctx)
}

func (c *Cells) probe(ctx context.Context) []Layer {
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
	if err == nil && cell.bare {
		return append(bareLayers(layer), cgroupLayer())
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

// bareLayers are the walls of a machine that gives no namespaces.
func bareLayers(layer func(name, level string) Layer) []Layer {
	missing := func(name, level string) Layer {
		return Layer{Name: name, Optional: true, Level: "no namespaces here: " + level}
	}
	return []Layer{
		missing(layerMounts, "files are Landlock's alone; what is protected in the workspace is put back when a command has ended; no /tmp but TMPDIR"),
		layer(layerLandlock, fmt.Sprintf("version %d: files, signals, TCP", landlockVersion())),
		layer(layerSeccomp, fmt.Sprintf("%d system calls refused, and some made for the command after a look at what they are for",
			len(forbidden)+len(forbiddenHere)+len(bareForbidden))),
		missing(layerProcesses, "commands see those of the machine and their arguments, cannot read or signal them, and none outlives its command"),
		missing(layerNetwork, "commands have no socket but to the proxy, to each other and in their own folders; what they serve, all of the machine reaches"),
		missing(layerIPC, "/dev/shm is the machine's; queues and other shared memory are refused"),
		layer(layerCapabilities, "none, and none to be had"),
		layer(layerDescriptors, "no open file of ours"),
		layer(layerLimits, "memory of a process, no core dumps; how many more processes the machine gets"),
	}
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
