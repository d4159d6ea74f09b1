package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"ml-intern/internal/config"
	"ml-intern/internal/confine"
)

// ConfinedCommand is the hidden command with which the program confines the
// commands of a session: ml-intern confined.
const ConfinedCommand = confine.ConfinedCommand

// confined makes the cells in which the commands of a session run, nil if the
// person wants none.
func confined(cfg *config.Config, out *gate) (*confine.Cells, error) {
	if cfg.Unconfined {
		return nil, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	rules, err := confinement(cfg, cfg.Dir)
	if err != nil {
		return nil, err
	}
	rules.Serve = out.serve
	if out.proxy.Hub != "" {
		rules.Address = []string{endpoint}
	}
	return confine.New(rules, exe, ConfinedCommand), nil
}

// confine makes the cells of this session and their way out, if they are not
// there.
func (a *App) confine(ctx context.Context) (err error) {
	a.confining.Lock()
	defer a.confining.Unlock()
	if a.gate == nil {
		a.gate = a.newGate(ctx)
		if a.cells, err = confined(a.cfg, a.gate); a.cells != nil {
			a.undone = confine.Recover(journals(a.cfg))
			a.tidy(ctx)
		}
	}
	return err
}

// jobRules are those of jobs on this machine. They outlive the agent, so their
// proxy is their shim's: see jobWay.
func jobRules(cfg *config.Config) func(dir string) (*confine.Rules, error) {
	if cfg.Unconfined || runtime.GOOS != "linux" {
		return nil
	}
	return func(dir string) (*confine.Rules, error) {
		rules, err := confinement(cfg, dir)
		_ = cachesOf(cfg).Make() // a job fetches itself what it does not find
		rules.Network = cfg.Network.Jobs == config.JobsAll
		rules.GPUs = true      // a job that asks for none gets none
		rules = rules.Settle() // it may be long before the job begins
		return &rules, err
	}
}

// beyondCommands says in words what a job of this machine may and a command may
// not, "" for nothing: then it is asked about no more than a command is.
func (a *App) beyondCommands() string {
	switch {
	case a.here.Rules == nil:
		return "nothing confines"
	case a.cfg.Network.Jobs == config.JobsAll:
		return "reaches the network"
	}
	return ""
}

// confinement is what commands may do in the workspace dir.
func confinement(cfg *config.Config, dir string) (confine.Rules, error) {
	temp, err := temporary(cfg, dir)
	if err == nil {
		err = os.MkdirAll(cachesOf(cfg).Dir, 0o700)
	}
	if err != nil {
		return confine.Rules{}, err
	}
	home := cmp.Or(cfg.Getenv("HOME"), cfg.Getenv("USERPROFILE"), cfg.Paths.State)
	r := confine.Rules{
		Writable:  []string{dir, cachesOf(cfg).Dir},
		Hidden:    append(hidden(cfg), cfg.Paths.Data, cfg.Paths.Cache),
		Protected: slices.Concat(confine.ProjectPaths(dir), confine.ProjectPaths(home), startFolders(home)),
		Readable:  slices.Concat(shown(cfg), programs(cfg), cachesOf(cfg).Sources()),
		Trees:     []string{dir},
		Temp:      temp,
		Aside:     filepath.Join(cfg.Paths.State, "aside"),
		Journal:   journals(cfg),
		Limits:    confine.Reasonable(),
	}
	for _, own := range []string{cfg.Paths.State, cfg.Paths.Config, cfg.Paths.Data, cfg.Paths.Cache} {
		if rel, err := filepath.Rel(dir, own); err == nil && filepath.IsLocal(rel) { // what is there commands cannot make
			err = os.MkdirAll(own, 0o700)
			if err != nil {
				return confine.Rules{}, fmt.Errorf("make the program's own folder: %w", err)
			}
		}
	}
	if repository := confine.Repository(dir); repository != "" {
		r.Writable = append(r.Writable, repository)
	}
	if _, err := os.Lstat(filepath.Join(cfg.Dir, ".env")); err != nil { // a later one is the command's own
		r.Hidden = slices.DeleteFunc(r.Hidden, func(p string) bool { return p == filepath.Join(cfg.Dir, ".env") })
	}
	return r, nil
}

// programs are the folders of programs below the machine's temporary folders,
// which commands do not see otherwise, with those that their links lead to.
func programs(cfg *config.Config) []string {
	var dirs []string
	for _, dir := range append(filepath.SplitList(cfg.Getenv("PATH")), cfg.Getenv("VIRTUAL_ENV"), cfg.Getenv("CONDA_PREFIX")) {
		if !belowTemp(dir) {
			continue
		}
		dirs = append(dirs, dir)
		entries, _ := os.ReadDir(dir) // a folder that is not there has no programs
		for _, e := range entries {
			if e.Type()&os.ModeSymlink == 0 {
				continue
			}
			real, err := filepath.EvalSymlinks(filepath.Join(dir, e.Name()))
			if err == nil && belowTemp(filepath.Dir(real)) && !slices.Contains(dirs, filepath.Dir(real)) {
				dirs = append(dirs, filepath.Dir(real))
			}
		}
	}
	return dirs
}

func belowTemp(dir string) bool {
	return slices.ContainsFunc([]string{"/tmp", "/var/tmp", os.TempDir()}, func(temp string) bool {
		rel, err := filepath.Rel(temp, dir)
		return err == nil && rel != "." && filepath.IsLocal(rel)
	})
}

// startFolders are where programs look for what to start or load, for a
// workspace that is the home or above it.
func startFolders(home string) []string {
	var all []string
	for _, name := range []string{
		".config", ".local/bin", ".local/lib", ".local/share/systemd", ".local/share/applications", ".gitconfig", ".bash_completion", ".inputrc",
		".pam_environment", ".xprofile", ".xsession", ".xsessionrc", ".xinitrc", ".vimrc", ".vim", ".emacs", ".emacs.d", ".tmux.conf", ".screenrc", ".gdbinit",
		".cargo/config.toml", ".cargo/config", ".cargo/bin", ".ipython/profile_default/startup", ".ipython/profile_default/ipython_config.py", ".jupyter",
		".Rprofile", ".julia/config", ".condarc", ".pip", ".pythonstartup", ".pythonrc", ".forward", ".procmailrc",
	} {
		all = append(all, filepath.Join(home, filepath.FromSlash(name)))
	}
	return all
}

// How long a file stays in the folder that commands see as /tmp, and how long
// the folder of a workspace that is not used.
const (
	temporaryFor = 3 * 24 * time.Hour
	unusedFor    = 30 * 24 * time.Hour
)

// temporary is the folder that the commands of a workspace see as /tmp: the
// next command and the next session find in it what the last one left.
func temporary(cfg *config.Config, workspace string) (string, error) {
	sum := sha256.Sum256([]byte(workspace))
	dir := filepath.Join(cfg.Paths.State, "tmp", hex.EncodeToString(sum[:8]))
	now := time.Now()
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.Chtimes(dir, now, now)
	}
	if err != nil {
		return "", fmt.Errorf("make folder for temporary files: %w", err)
	}
	return dir, errors.Join(removeOld(filepath.Dir(dir), unusedFor), removeOld(dir, temporaryFor))
}

// removeOld removes what has not changed for so long.
func removeOld(dir string, after time.Duration) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list temporary files: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > after {
			_ = os.RemoveAll(filepath.Join(dir, e.Name())) // the next session may succeed
		}
	}
	return nil
}

// RunConfined is the whole life of a cell, or, with a file of rules and a
// program, what becomes that program.
func RunConfined(args []string) error {
	if len(args) < 2 {
		return confine.Main()
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	var rules confine.Rules
	if err := json.Unmarshal(data, &rules); err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	return fmt.Errorf("confine job: %w", confine.Become(rules, args[1:]))
}

// Unconfined is what is shown when commands are not confined.
const Unconfined = "--unconfined: commands are NOT confined; they can read, write and send whatever you can"

// confinementChecks say which walls stand here, one check for each.
func confinementChecks(ctx context.Context) []Check {
	exe, err := os.Executable()
	if err != nil {
		return []Check{{"confinement", stateMissing, err.Error(), ""}}
	}
	var checks []Check
	for _, l := range confine.Probe(ctx, exe, ConfinedCommand) {
		c := Check{Name: "confinement: " + l.Name, State: stateOK, Detail: l.Level}
		switch {
		case !l.Holds && l.Optional:
			c.State, c.Mend = stateNote, "nothing needs to be done: commands run without it"
		case !l.Holds:
			c.State, c.Mend = stateMissing, "commands are refused without it; in a container or a virtual machine of their own, --unconfined runs them all the same"
		}
		checks = append(checks, c)
	}
	return checks
}
