package confine

// A Layer is one of the walls.
type Layer struct {
	Name     string
	Holds    bool
	Optional bool   // commands run without it
	Level    string // what it does here, or why it does not
}

// Names of the layers, as Probe and the tests of escapes use them.
const (
	layerMounts       = "mounts"
	layerLandlock     = "landlock"
	layerSeccomp      = "seccomp"
	layerProcesses    = "processes"
	layerNetwork      = "network"
	layerIPC          = "ipc"
	layerCapabilities = "capabilities"
	layerDescriptors  = "descriptors"
	layerLimits       = "limits"
	layerCgroup       = "cgroup"

	layerNamespaces = "namespaces" // all of them: a test makes bare cells so
)
