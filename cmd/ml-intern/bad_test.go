package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
)

// each visits the commands that people see.
func each(c *cobra.Command, visit func(*cobra.Command)) {
	if c.Hidden || c.Name() == "help" {
		return
	}
	visit(c)
	for _, child := range c.Commands() {
		each(child, visit)
	}
}

// attempt runs a command line in this process. What is wrong with it must be
// found before anything is done.
func attempt(t *testing.T, args ...string) (app.Exit, string) {
	t.Helper()
	var out, stderr bytes.Buffer
	root := newRoot(cli.Streams{In: strings.NewReader(""), Out: &out, Err: &stderr})
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	if out.Len() > 0 {
		t.Errorf("%q prints %q", args, out.String())
	}
	if err == nil {
		err = errors.New("it succeeded")
	}
	return app.Classify(err), err.Error()
}

func wantUsage(t *testing.T, want string, args ...string) {
	t.Helper()
	exit, text := attempt(t, args...)
	if exit.Code != 2 || !strings.Contains(text, want) || strings.Contains(text, "\n") || strings.Contains(text, "strconv") {
		t.Errorf("%q: exit %d: %s; want 2 and %q", args, exit.Code, text, want)
	}
}

// Every command refuses a slip in the name of every flag of its own and names
// the flag, a value of another type, and a slip in the name of a command.
func TestEveryCommandRefusesSlips(t *testing.T) {
	t.Setenv("ML_INTERN_HOME", t.TempDir())
	t.Chdir(t.TempDir())
	bad := map[string]string{
		"int": "takes a whole number, not \"x\"", "int64": "takes a whole number, not \"x\"", "float64": "takes a number, not \"x\"",
		"bool": "takes true or false, not \"x\"", "duration": "takes a duration such as 90m or 2h30m, not \"x\"",
	}
	commands, flags := 0, 0
	each(newRoot(cli.Streams{}), func(c *cobra.Command) {
		commands++
		path := strings.Fields(c.CommandPath())[1:]
		wantUsage(t, "unknown flag: --nothing-like-it", append(path, "--nothing-like-it")...)
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			flags++
			wantUsage(t, "did you mean --"+f.Name+"?", append(path, "--"+f.Name+"x")...)
			if want := bad[f.Value.Type()]; want != "" {
				wantUsage(t, "--"+f.Name+" "+want, append(path, "--"+f.Name+"=x")...)
			} else {
				wantUsage(t, "flag needs an argument: ", append(path, "--"+f.Name)...)
			}
		})
		if c.HasParent() {
			name := c.Name()
			slip := append(append([]string{}, path[:len(path)-1]...), name+"x", "y")
			if name == "ls" || name == "rm" {
				slip[len(path)-1] = name + name[1:] // lss, rmm
			}
			wantUsage(t, "; did you mean ", slip...)
		}
	})
	if commands < 35 || flags < 100 {
		t.Errorf("only %d commands and %d flags were tried", commands, flags)
	}
	t.Logf("%d commands, %d flags", commands, flags)
}
