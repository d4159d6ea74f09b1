package confine

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// wrapping is before each variable that is not for the programs on the way.
const wrapping = "ML_INTERN_INSIDE_"

// Wrapped is an environment for a process that will Become another: only what
// that one becomes has env. Who starts it, and a shell in between, is not yet
// behind walls: a variable such as LD_PRELOAD could run anything there.
func Wrapped(env []string) []string {
	wrapped := make([]string, 0, len(env))
	for i, pair := range env {
		wrapped = append(wrapped, fmt.Sprintf("%s%d=%s", wrapping, i, pair))
	}
	return wrapped
}

// unwrapped is env as it was before Wrapped, if it is. Of two values of a name
// the last counts.
func unwrapped(env []string) []string {
	inside := map[int]string{}
	most := -1
	for _, pair := range env {
		rest, ok := strings.CutPrefix(pair, wrapping)
		number, value, cut := strings.Cut(rest, "=")
		var i int
		if _, err := fmt.Sscanf(number, "%d", &i); !ok || !cut || err != nil {
			continue
		}
		inside[i], most = value, max(most, i)
	}
	if most < 0 {
		return env
	}
	at := map[string]int{}
	var kept []string
	for i := range most + 1 {
		name, _, named := strings.Cut(inside[i], "=")
		if !named || name == "" {
			continue
		}
		if old, twice := at[name]; twice {
			kept[old] = inside[i]
			continue
		}
		at[name] = len(kept)
		kept = append(kept, inside[i])
	}
	return kept
}

// wear gives this process the environment that was wrapped for it.
func wear() error {
	env := unwrapped(os.Environ())
	os.Clearenv()
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("set variable %s: %w", name, err)
		}
	}
	return nil
}

// Behind puts a command that was not started behind the walls of the rules,
// which are in a file. The cell is what runs this program to Become another.
func (r Rules) Behind(cmd *exec.Cmd, cell []string, file string) {
	cmd.Args = slices.Concat(cell, []string{file, cmd.Path}, cmd.Args[1:])
	cmd.Path, cmd.Env = cell[0], Wrapped(cmd.Env)
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	r.Enter(cmd.SysProcAttr)
}
