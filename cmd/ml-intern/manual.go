package main

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
)

// manualEnd is what the manual says behind the commands.
//
//go:embed manual.roff
var manualEnd string

// manualCommand prints the page of man(1); who packages the program runs it.
func manualCommand(std cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use: "manual", Short: "print the manual for man(1)", Hidden: true, Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(std.Out, manual(cmd.Root(), app.ThisBuild()))
			return err
		},
	}
}

// manual is one page for all commands: what is made from the commands
// themselves cannot tell of others.
func manual(root *cobra.Command, b app.Build) string {
	var out strings.Builder
	day, _, _ := strings.Cut(b.Time, "T")
	fmt.Fprintf(&out, ".TH ML-INTERN 1 %q %q \"User Commands\"\n", day, "ml-intern "+b.Version)
	fmt.Fprintf(&out, ".SH NAME\nml-intern \\- %s\n.SH SYNOPSIS\n", roff(root.Short))
	for i, form := range []string{"[flags] PROMPT", "[--plain] [flags]", "COMMAND [flags]"} {
		if i > 0 {
			out.WriteString(".br\n")
		}
		fmt.Fprintf(&out, ".B ml-intern\n%s\n", roff(form))
	}
	out.WriteString(".SH DESCRIPTION\n" + paragraphs(root.Long))
	out.WriteString(".SH OPTIONS\nOf a prompt and of a chat:\n" + options(root, nil))
	out.WriteString(".SH COMMANDS\nEvery command and group of commands takes\n.B \\-\\-help\n(\\fB\\-h\\fR).\n")
	manualOf(&out, root, root)
	out.WriteString(manualEnd)
	return out.String()
}

// manualOf writes of the commands below c that people are told of.
func manualOf(out *strings.Builder, root, c *cobra.Command) {
	for _, child := range c.Commands() {
		if !child.IsAvailableCommand() {
			continue
		}
		fmt.Fprintf(out, ".SS %s\n", roff(strings.TrimSuffix(child.UseLine(), " [flags]")))
		out.WriteString(paragraphs(strings.ToUpper(child.Short[:1]) + child.Short[1:] + "."))
		if len(child.Aliases) > 0 {
			out.WriteString(".PP\nAlso: " + roff(strings.Join(child.Aliases, ", ")) + ".\n")
		}
		if child.Long != "" {
			out.WriteString(".PP\n" + paragraphs(child.Long))
		}
		if child.HasAvailableSubCommands() { // it has its first command's flags, which follow there
			if does := child.Annotations[alone]; does != "" {
				fmt.Fprintf(out, ".PP\nWithout another word it does what its command\n.B %s\ndoes.\n", roff(does))
			}
			manualOf(out, root, child)
			continue
		}
		out.WriteString(options(child, root))
	}
}

// options lists a command's flags. Those that another command has as well are
// only named.
func options(c, other *cobra.Command) string {
	var out, same strings.Builder
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if other != nil {
			if known := other.Flags().Lookup(f.Name); known != nil && known.Usage == f.Usage && known.DefValue == f.DefValue {
				same.WriteString("\n.B " + roff("--"+f.Name))
				return
			}
		}
		value, usage := pflag.UnquoteUsage(f)
		head := "\\fB" + roff("--"+f.Name) + "\\fR"
		if f.Shorthand != "" {
			head = "\\fB" + roff("-"+f.Shorthand) + "\\fR, " + head
		}
		if value != "" {
			head += " \\fI" + roff(value) + "\\fR"
		}
		if f.DefValue != "" && f.DefValue != "0" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0s" && !strings.Contains(usage, "(default") {
			usage += " (default " + f.DefValue + ")"
		}
		out.WriteString(".TP\n" + head + "\n" + roff(usage) + "\n")
	})
	if same.Len() > 0 {
		out.WriteString(".PP\nAs in OPTIONS:" + same.String() + "\n")
	}
	return out.String()
}

// paragraphs is text as roff: lines that are indented stay as they are, the
// rest is filled.
func paragraphs(text string) string {
	var out strings.Builder
	literal, empty := false, false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		indented := strings.HasPrefix(line, "  ")
		switch {
		case line == "":
			empty = true
			continue
		case indented && !literal:
			out.WriteString(".PP\n.nf\n")
		case !indented && literal:
			out.WriteString(".fi\n.PP\n")
		case empty && !literal:
			out.WriteString(".PP\n")
		}
		literal, empty = indented, false
		out.WriteString(roff(line) + "\n")
	}
	if literal {
		out.WriteString(".fi\n")
	}
	return out.String()
}

// roff writes text so that nothing in it is an instruction, and a hyphen stays
// one that can be copied.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\t", " ").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
