// Package config is what the person set: one Config, made once in main from
// the environment and the flags, and passed on as plain values.
//
// Its one rule: nothing else in the program reads the environment.
// The order is defaults, the person's file, the project's file, flags.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config is one run's settings.
type Config struct {
	Model         string   // id; "" for the first that has a key
	Fallback      []string // ids of the models that take over, in order
	Effort        string   // how hard the model thinks; "" for its own default
	Approve       string   // approval mode
	Output        string   // text, json, stream-json or events
	Dir           string   // the workspace, absolute
	Hub           string   // URL, or "local" for the embedded server
	Compute       string   // where jobs run that name nothing else
	Computes      map[string]Compute
	JobSecrets    []string      // variables whose values jobs may be given
	SystemAppend  string        // added to the system prompt
	MaxSteps      int           // of one turn
	MaxCost       float64       // US dollars; 0 for no cap
	MaxTokens     int           // of models whose price is unknown
	TimeBudget    time.Duration // of one run; 0 for none
	FirstByte     time.Duration // how long a model may keep one waiting; 0 for the default
	Idle          time.Duration // how long it may pause in a reply; 0 for the default
	BillTo        string        // organization that pays on the Hugging Face router
	ResearchModel string        // id of the model of sub-agents; "" for a cheaper one if there is one, "same" for the session's own
	Mouse         bool          // the wheel scrolls the full-screen chat
	Collect       bool          // what a session makes on the Hub goes into a collection there
	Share         Share         // of traces
	Models        map[string]ModelFacts
	Services      Services
	Rules         []Rule // of the person's files
	ProjectRules  []Rule // of the project's; see Trust
	Hooks         []Hook
	ProjectHooks  []Hook // none unless the folder is trusted
	Trust         Trust  // of the workspace
	Network       Network
	MCP           map[string]MCPServer // of the person's file, by name
	ProjectMCP    map[string]MCPServer // of a trusted folder's files
	MCPToolsKB    int                  // what the tools of all servers may take of every request
	SkillsOff     []string             // names of skills that are not used
	Notify        Notify               // of the person's file; see NotifyDestinations
	Keep          Secrets              // where tokens and keys are kept
	CachesGB      float64              // of commands and jobs; 0 for no bound
	CheckpointsGB float64              // of all workspaces
	NoCache       bool                 // the cache of the web is neither read nor written
	Unconfined    bool                 // commands run without confinement; of the flag alone
	Record        string               // file that model traffic is written to
	ReplayTools   bool                 // calls are answered from the recording that the model plays
	Quiet         bool
	Verbose       bool

	Paths  Paths
	env    map[string]string
	origin map[string]string // of the settings that are not defaults

	literal bool     // the file is of a folder that is not trusted: variables are not filled in
	wide    []string // what the setting at hand held that such a file may not
	ignored []string
	foreign []string // what the folder's file held that no such file may, as notes
	process []string // the environment without .env
	unset   []string // variables of .env that do not count
	servers []string // what is wrong with the servers of a folder
}

// Paths are the folders of this program.
type Paths struct {
	Config string
	Data   string // the local Hub
	State  string // sessions and jobs
	Cache  string
}

// Defaults of the flags.
const (
	DefaultMaxSteps  = 300
	DefaultMaxCost   = 5.0
	DefaultMaxTokens = 20_000_000
)

// Load reads the environment, given as KEY=VALUE, the .env file of the folder
// dir, which never overrides what is set, the person's configuration file, and
// that of the folder, which may only make things stricter until the person
// trusts the folder.
func Load(environ []string, dir string) (*Config, error) {
	dir, err := workspace(dir)
	if err != nil {
		return nil, err
	}
	c := &Config{
		Approve: "auto", Output: "text", Dir: dir, Compute: LocalCompute, JobSecrets: []string{"HF_TOKEN", "WANDB_API_KEY"},
		MaxSteps: DefaultMaxSteps, MaxCost: DefaultMaxCost, MaxTokens: DefaultMaxTokens,
		MCPToolsKB: DefaultMCPToolsKB, Share: Share{Visibility: ShareOff, Repo: DefaultShareRepo}, Services: Services{CacheMB: DefaultCacheMB}, env: make(map[string]string), CachesGB: DefaultCachesGB, CheckpointsGB: DefaultCheckpointsGB,
	}
	file := filepath.Join(dir, ".env")
	fromFile, err := readDotEnv(file)
	if err != nil {
		return nil, err
	}
	for _, kv := range environ {
		if key, value, ok := strings.Cut(kv, "="); ok {
			c.env[key] = value
		}
	}
	if err := checkDotEnv(fromFile, c.env); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	c.merge(fromFile)
	if c.Paths, err = c.paths(); err != nil {
		return nil, err
	}
	c.process = environ
	if err := c.readFiles(); err != nil {
		return nil, err
	}
	c.literal = false
	if err := c.checkServiceKeys(fromFile, environ); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if org := c.env["HF_BILL_TO"]; org != "" {
		c.BillTo = org
	}
	return c, nil
}

// Enter makes another folder the workspace: that of a session which goes on.
// Its rules and hooks take the place of those of the folder before; its other
// settings were the session's when it began.
func (c *Config) Enter(dir string) error {
	if dir == c.Dir {
		return nil
	}
	there, err := Load(c.process, dir)
	if err != nil {
		return err
	}
	c.Dir, c.Trust = there.Dir, there.Trust
	c.ProjectRules, c.ProjectHooks, c.ProjectMCP = there.ProjectRules, there.ProjectHooks, there.ProjectMCP
	return nil
}

// readFiles reads the person's file, their rules, and the project's file.
func (c *Config) readFiles() (err error) {
	if err := c.readFile(c.File(), ownFile); err != nil {
		return err
	}
	mine := c.Rules
	c.Rules = nil
	if err := c.readFile(c.RulesFile(), rulesFile); err != nil {
		return err
	}
	c.Rules = append(mine, c.Rules...)
	if c.Trust, err = c.trustOf(c.Dir); err != nil {
		return err
	}
	if err := c.readFile(ProjectFile(c.Dir), projectFile); err != nil {
		return err
	}
	c.literal = false
	c.readServersFile()
	return nil
}

func workspace(dir string) (string, error) {
	if dir == "" {
		dir = "."
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find folder %s: %w", dir, err)
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no folder %s", abs)
	case err != nil:
		return "", fmt.Errorf("open folder: %w", err)
	case !info.IsDir():
		return "", fmt.Errorf("%s is a file, not a folder", abs)
	}
	return abs, nil
}

// Getenv returns a variable of the environment or of .env.
func (c *Config) Getenv(key string) string { return c.env[key] }

// Secrets lists the values of the variables that hold keys and tokens.
func (c *Config) Secrets() []string {
	var secrets []string
	for _, s := range services() { // whose key may be in a variable of any name
		if _, key := c.Service(s.name); key != "" {
			secrets = append(secrets, key)
		}
	}
	for _, p := range c.Computes {
		if token := strings.TrimSpace(c.env[p.Token]); token != "" {
			secrets = append(secrets, token)
		}
	}
	secrets = append(append(secrets, c.mcpSecrets()...), c.notifySecrets()...)
	for name, value := range c.env {
		for _, end := range []string{"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIALS", "_PAT"} {
			if strings.HasSuffix(strings.ToUpper(name), end) && strings.TrimSpace(value) != "" {
				secrets = append(secrets, strings.TrimSpace(value))
				break
			}
		}
	}
	return secrets
}

// ProcessEnviron returns the variables as the process was given them, without
// those of the folder's .env.
func (c *Config) ProcessEnviron() []string { return c.process }

// Environ returns all variables as KEY=VALUE.
func (c *Config) Environ() []string {
	env := make([]string, 0, len(c.env))
	for key, value := range c.env {
		env = append(env, key+"="+value)
	}
	return env
}

// paths follows ML_INTERN_HOME, else the XDG base directories.
func (c *Config) paths() (Paths, error) {
	if home := c.env["ML_INTERN_HOME"]; home != "" {
		home, err := filepath.Abs(home)
		if err != nil {
			return Paths{}, fmt.Errorf("find ML_INTERN_HOME: %w", err)
		}
		return Paths{
			Config: filepath.Join(home, "config"), Data: filepath.Join(home, "data"),
			State: filepath.Join(home, "state"), Cache: filepath.Join(home, "cache"),
		}, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return Paths{}, fmt.Errorf("find home folder: %w; set ML_INTERN_HOME to a folder for the program's state", err)
	}
	xdg := func(variable, fallback string) string {
		if dir := c.env[variable]; filepath.IsAbs(dir) {
			return filepath.Join(dir, "ml-intern")
		}
		return filepath.Join(home, fallback, "ml-intern")
	}
	return Paths{
		Config: xdg("XDG_CONFIG_HOME", ".config"), Data: xdg("XDG_DATA_HOME", ".local/share"),
		State: xdg("XDG_STATE_HOME", ".local/state"), Cache: xdg("XDG_CACHE_HOME", ".cache"),
	}, nil
}
