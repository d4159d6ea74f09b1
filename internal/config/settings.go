package config

// ModelFacts is what a person knows of a model better than the catalogue.
// Zero fields are left to the catalogue.
type ModelFacts struct {
	ContextWindow int         `json:"context_window"`
	MaxOutput     int         `json:"max_output"`
	Price         *ModelPrice `json:"price"`
	Efforts       []string    `json:"efforts"`
	Images        *bool       `json:"images"`
}

// ModelPrice is in US dollars per million tokens.
type ModelPrice struct {
	Input      float64 `json:"input"`
	Output     float64 `json:"output"`
	CacheRead  float64 `json:"cache_read"`
	CacheWrite float64 `json:"cache_write"`
}

// A rule says what a project's file may do with a setting: a folder that
// somebody else wrote must not widen what the program may do.
type rule int

const (
	free     rule = iota // may set it
	tighten              // may only make it stricter
	never                // may not set it
	partly               // decoding refuses what is wider
	personal             // may not set it, not even that of a folder that the person trusts
)

// A setting is one key of the configuration file.
type setting struct {
	key   string
	doc   string
	rule  rule
	field func(*Config) any // pointer to where the value is

	project func(*Config) any // where that of a project is, if it does not take the other's place
}

// settings lists the keys, as they are shown.
func settings() []setting {
	return []setting{
		{"model", "id of the model", free, func(c *Config) any { return &c.Model }, nil},
		{"fallback", "models that take over, in this order, when the one before is out of reach or credit", free, func(c *Config) any { return &c.Fallback }, nil},
		{"effort", "how hard the model thinks: none, minimal, low, medium, high, xhigh or max", free, func(c *Config) any { return &c.Effort }, nil},
		{"approve", "what may run without asking: plan, strict, ask or auto", tighten, func(c *Config) any { return &c.Approve }, nil},
		{"output", "text, json, stream-json or events", free, func(c *Config) any { return &c.Output }, nil},
		{"hub", "URL of the Hub, or local", never, func(c *Config) any { return &c.Hub }, nil},
		{"compute", "where jobs run if they name nothing else: local, hf, or a name of computes", never, func(c *Config) any { return &c.Compute }, nil},
		{"job_secrets", "variables whose values a job may be given, when it asks for them by name", never, func(c *Config) any { return &c.JobSecrets }, nil},
		{"computes", "where else jobs can run, by name: type (slurm, ssh, ray or hf) and what belongs to it", never, func(c *Config) any { return &c.Computes }, nil},
		{"system_append", "text to add to the system prompt", free, func(c *Config) any { return &c.SystemAppend }, nil},
		{"max_steps", "model calls a turn may take", tighten, func(c *Config) any { return &c.MaxSteps }, nil},
		{"max_cost", "US dollars a session may cost; 0 for no cap", tighten, func(c *Config) any { return &c.MaxCost }, nil},
		{"max_tokens", "tokens a session may take of models of unknown price; 0 for no cap", tighten, func(c *Config) any { return &c.MaxTokens }, nil},
		{"time_budget", "how long a run may take, such as 90m", tighten, func(c *Config) any { return &c.TimeBudget }, nil},
		{"first_byte_timeout", "how long a model may keep one waiting for the first byte, such as 120s", free, func(c *Config) any { return &c.FirstByte }, nil},
		{"idle_timeout", "how long a model may pause in a reply, such as 60s", free, func(c *Config) any { return &c.Idle }, nil},
		{"research_model", "id of the model for sub-agents that do research; same for the session's own; a cheaper one of the same provider if not set", free, func(c *Config) any { return &c.ResearchModel }, nil},
		{"mouse", "true to have the wheel scroll the full-screen chat; selecting text then needs Shift", free, func(c *Config) any { return &c.Mouse }, nil},
		{"hub_collection", "true to keep what a session makes on the Hub in a private collection there", never, func(c *Config) any { return &c.Collect }, nil},
		{"share", "what becomes of sessions' traces: visibility (off, private or public), repo (NAME or OWNER/NAME), automatic (true to share each session when you leave it)", personal, func(c *Config) any { return &c.Share }, nil},
		{"bill_to", "organization that pays on the Hugging Face router", never, func(c *Config) any { return &c.BillTo }, nil},
		{"models", "facts of models by id: context_window, max_output, price, efforts, images", never, func(c *Config) any { return &c.Models }, nil},
		{"network", "hosts that confined commands may reach beside the usual ones (allow), not at all (deny), and of those allowed, those that may be private (private); what jobs of this machine may reach (jobs)", partly, func(c *Config) any { return &c.Network }, nil},
		{"services", "addresses and keys of what is read outside, search engines, private hosts, requests a second, timeout, cache", partly, func(c *Config) any { return &c.Services }, nil},
		{"rules", "what is allowed, asked about or denied, by tool, effect, path, host, repo, command and cost", partly, func(c *Config) any { return &c.Rules }, func(c *Config) any { return &c.ProjectRules }},
		{"mcp", "MCP servers by name: command with args, env and cwd, or url with headers; tools, timeout, start_timeout, disabled, client_id, client_secret, callback_port", never, func(c *Config) any { return &c.MCP }, func(c *Config) any { return &c.ProjectMCP }},
		{"mcp_tools_kb", "what the descriptions of all tools of MCP servers may take of every request, in KB", tighten, func(c *Config) any { return &c.MCPToolsKB }, nil},
		{"skills_off", "names of skills that are not used", never, func(c *Config) any { return &c.SkillsOff }, nil},
		{"notify", "who is told of what happens (destinations, by name: desktop, slack, webhook or email), and of what (events)", personal, func(c *Config) any { return &c.Notify }, nil},
		{"secrets", "where logins at MCP servers and keys of models are kept: store is auto (the keyring of the desktop, else a file), keyring or file", never, func(c *Config) any { return &c.Keep }, nil},
		{"caches_gb", "what the caches of commands and jobs may take; 0 for no bound", never, func(c *Config) any { return &c.CachesGB }, nil},
		{"checkpoints_gb", "what the checkpoints of all workspaces may take", never, func(c *Config) any { return &c.CheckpointsGB }, nil},
		{"hooks", "programs to run before and after tools, prompts and stops: event, matcher, command, timeout", partly, func(c *Config) any { return &c.Hooks }, func(c *Config) any { return &c.ProjectHooks }},
	}
}
