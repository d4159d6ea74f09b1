package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
)

func manualPage(t *testing.T) (*cobra.Command, string) {
	t.Helper()
	root := newRoot(cli.Streams{})
	return root, manual(root, app.Build{Version: "v1.2.3", Time: "2026-11-27T21:38:08Z"})
}

// sectionOf is what the manual says of a command.
func sectionOf(page string, c *cobra.Command) string {
	name := ".SS " + roff(c.CommandPath())
	if !c.HasParent() {
		name = ".SH OPTIONS"
	}
	at := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `( [^a-z].*)?$`).FindStringIndex(page)
	if at == nil {
		return ""
	}
	section := page[at[1]:]
	if end := regexp.MustCompile(`(?m)^\.S[HS] `).FindStringIndex(section); end != nil {
		section = section[:end[0]]
	}
	return section
}

// The manual has every command and flag that people are told of, and no other.
func TestManualIsComplete(t *testing.T) {
	t.Parallel()
	root, page := manualPage(t)
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c != root && !c.IsAvailableCommand() {
			if strings.Contains(page, ".SS "+roff(c.CommandPath())) {
				t.Errorf("the manual has %s, which is hidden", c.CommandPath())
			}
			return
		}
		seen++
		section := sectionOf(page, c)
		if section == "" {
			t.Errorf("the manual has nothing of %s", c.CommandPath())
		}
		if c == root || !c.HasAvailableSubCommands() {
			c.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if !f.Hidden && f.Name != "help" && !regexp.MustCompile(regexp.QuoteMeta(roff("--"+f.Name))+`(\\fR|\n)`).MatchString(section) {
					t.Errorf("the manual has no flag --%s of %s", f.Name, c.CommandPath())
				}
			})
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(root)
	for group, does := range map[string]string{"caches": "ls", "jobs": "ls", "sessions": "ls", "config": "show"} {
		c, _, err := root.Find([]string{group})
		if err != nil || !strings.Contains(sectionOf(page, c), "its command\n.B "+does+"\n") {
			t.Errorf("what %s does alone is not %s: %v", group, does, err)
		}
	}
	for _, group := range [][]string{{"hub"}, {"hub", "user"}} {
		if c, _, err := root.Find(group); err != nil || strings.Contains(sectionOf(page, c), "Without another word") {
			t.Errorf("%v alone does nothing, and the manual says that it does something: %v", group, err)
		}
	}
	if n := strings.Count(page, "\n.SS "); n != seen-1 {
		t.Errorf("the manual has %d commands of %d", n, seen-1)
	}
	if !strings.HasPrefix(page, ".TH ML-INTERN 1 \"2026-11-27\" \"ml-intern v1.2.3\"") {
		t.Errorf("its head is %.100q", page)
	}
}

// The manual's numbers are those of docs/exit-codes.md, its variables those that
// some other page explains.
func TestManualSaysWhatTheDocumentsSay(t *testing.T) {
	t.Parallel()
	_, page := manualPage(t)
	codes, err := os.ReadFile("../../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(string(codes), -1) {
		want = append(want, m[1])
	}
	want = slices.Compact(want)
	_, exits, _ := strings.Cut(page, ".SH EXIT STATUS\n")
	exits, variables, _ := strings.Cut(exits, ".SH ENVIRONMENT\n")
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^\.B (\d+)$`).FindAllStringSubmatch(exits, -1) {
		got = append(got, m[1])
	}
	if !slices.Equal(got, want) {
		t.Errorf("exit codes are %v, and the document has %v", got, want)
	}
	var known strings.Builder
	for _, file := range []string{"environment.md", "models.md", "hub.md", "terminal.md", "chat.md"} {
		text, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		known.Write(text)
	}
	for _, name := range regexp.MustCompile(`\b[A-Z][A-Z0-9]+_[A-Z0-9_]+\b`).FindAllString(variables, -1) {
		if !strings.Contains(known.String(), name) {
			t.Errorf("no document explains %s", name)
		}
	}
}

// Nothing in a text is taken for an instruction of roff.
func TestRoff(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		".so /etc/passwd": `\&.so /etc/passwd`, "'x": `\&'x`, `a\fBb`: `a\efBb`, "--x": `\-\-x`, "a.b": "a.b",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if got, want := paragraphs("a\nb\n\nc\n\n  d\n  e\nf\n"), "a\nb\n.PP\nc\n.PP\n.nf\n  d\n  e\n.fi\n.PP\nf\n"; got != want {
		t.Errorf("it is %q, want %q", got, want)
	}
}

// What completes bash, zsh and fish asks the program, so that it can offer every
// command and flag: each is offered.
func TestCompletionIsComplete(t *testing.T) {
	t.Parallel()
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		if len(path) > 0 && !c.IsAvailableCommand() {
			return
		}
		offered := offers(t, append(slices.Clone(path), "")) + offers(t, append(slices.Clone(path), "--"))
		for _, child := range c.Commands() {
			if child.IsAvailableCommand() && !strings.Contains(offered, "\n"+child.Name()+"\t") {
				t.Errorf("%s is not offered", child.CommandPath())
			}
			walk(child, append(slices.Clone(path), child.Name()))
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(offered, "\n--"+f.Name+"\t") {
				t.Errorf("--%s of %s is not offered", f.Name, c.CommandPath())
			}
		})
	}
	walk(newRoot(cli.Streams{}), nil)
}

func offers(t *testing.T, words []string) string {
	t.Helper()
	var out strings.Builder
	root := newRoot(cli.Streams{Out: &out, Err: &out})
	root.SetArgs(append([]string{cobra.ShellCompRequestCmd}, words...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return "\n" + out.String()
}
