package local

// A Way is what a confined job may reach: by a proxy that its shim holds, since
// the job outlives the agent. It is kept with the job, so it holds no secret.
type Way struct {
	Allow   []string `json:"allow,omitempty"` // see egress.Proxy, also of what follows
	Deny    []string `json:"deny,omitempty"`
	Private []string `json:"private,omitempty"`
	Hub     string   `json:"hub,omitempty"`
	Advice  string   `json:"advice,omitempty"`

	// Bridges are ports of the job's loopback that lead to the machine's.
	Bridges []int `json:"bridges,omitempty"`
}
