package confine

import (
	"fmt"
	"slices"
	"strings"
)

// String says what holds commands back.
func (c *Cells) String() string {
	network := "reach no network"
	switch {
	case c.rules.Network:
		network = "reach the network"
	case c.rules.Serve != nil:
		network = "reach the network by the proxy alone"
	}
	if c.formNow() == formBare {
		return "commands write only the workspace, caches and TMPDIR, do not read keys, and " + network + "; there are " + bareLess
	}
	return "commands write only the workspace, caches and /tmp, do not read keys, and " + network
}

// bareLess is what holds less without namespaces, for people and the model.
const bareLess = "no namespaces on this machine: commands see other processes with their arguments, share /dev/shm, have no /tmp but TMPDIR, " +
	"and serve on 127.0.0.1, which is the machine's; what is protected in the workspace is put back when a command has ended"

// firstBare says once that commands run without namespaces.
func (c *Cells) firstBare() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.form != formBare || c.said {
		return nil
	}
	c.said = true
	return []string{"The sandbox holds less here. There are " + bareLess + "."}
}

// explained is how much of the end of an output is looked at.
const explained = 4 << 10

// refusals are what programs print when a wall stops them.
var refusals = []struct {
	words []string
	note  string
}{
	{
		[]string{"Read-only file system", "Permission denied", "EROFS", "EACCES"},
		"The sandbox may have refused this: commands write only %s, and keys and this program's state look empty or cannot be read. " +
			"If the command needs another folder, ask the person for that one.",
	},
	{
		[]string{"Operation not permitted", "EPERM"},
		"The sandbox may have refused this: commands have no privileges, cannot look into other processes, and change no mounts or owners.",
	},
	{
		[]string{
			"Network is unreachable", "Temporary failure in name resolution", "Could not resolve host", "Name or service not known",
			"nodename nor servname", "getaddrinfo", "ENETUNREACH", "EAI_AGAIN", "dns error", "NameResolutionError",
		},
		"The sandbox gives commands no network of their own: what does not use the proxy in HTTPS_PROXY reaches nothing. Use the tools for the Hub, papers and the web.",
	},
}

// noGPU is what programs print that find none.
var noGPU = []string{
	"No CUDA GPUs are available", "Found no NVIDIA driver", "no CUDA-capable device", "NVIDIA-SMI has failed", "libcuda.so.1",
	"No HIP GPUs are available", "/dev/kfd", "Unable to determine the device handle for GPU",
}

// Explain says what a failed command's output has to do with the walls: a
// sentence or none.
func (c *Cells) Explain(output string) []string {
	end := output[max(0, len(output)-explained):]
	if !c.Rules().GPUs && len(GPUs()) > 0 && slices.ContainsFunc(noGPU, func(words string) bool { return strings.Contains(end, words) }) {
		return []string{"The sandbox gives commands no GPU until it is asked for: use the tool grant with gpu, or submit a job whose hardware has one."}
	}
	for _, r := range refusals {
		for _, words := range r.words {
			if !strings.Contains(end, words) {
				continue
			}
			if strings.Contains(r.note, "%s") {
				return []string{fmt.Sprintf(r.note, strings.Join(append(slices.Clone(c.workspace), c.places()), ", "))}
			}
			return []string{r.note}
		}
	}
	return nil
}

// places are where commands write beside the workspace.
func (c *Cells) places() string {
	if c.formNow() == formBare {
		return "caches and $TMPDIR (not /tmp)"
	}
	return "caches and /tmp"
}
