package export

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

func writeMarkdown(w io.Writer, d document) error {
	out := bufio.NewWriter(w) // keeps the first error until Flush
	fmt.Fprintf(out, "# %s\n\n", escapeLine(d.Title))
	for _, f := range d.Facts {
		fmt.Fprintf(out, "- %s: %s\n", f.Name, code(f.Value))
	}
	for _, p := range d.Parts {
		fmt.Fprintln(out)
		switch p.Kind {
		case aPrompt:
			fmt.Fprintf(out, "## %s\n\n*%s*\n\n%s\n", heading(p), stamp(p.Time), quote(p.Text))
			for _, i := range p.Pictures {
				fmt.Fprintf(out, "\n*The %s, is left out.*\n", escapeLine(i.String()))
			}
			if p.Context != "" {
				fmt.Fprintf(out, "\n*Given to read with it:*\n\n%s\n", fence(p.Context, ""))
			}
		case anAnswer:
			fmt.Fprintf(out, "%s\n", strings.TrimSpace(p.Text))
		case aReasoning:
			fmt.Fprintf(out, "*Reasoning:*\n\n%s\n", quote(p.Text))
		case aNote:
			fmt.Fprintf(out, "*Note (%s):*\n\n%s\n", escapeLine(p.Name), quote(p.Text))
		case aNotice:
			fmt.Fprintf(out, "*%s*\n", escapeLine(p.Text))
		case aFailure:
			fmt.Fprintf(out, "**Ended without an answer:** %s\n", escapeLine(p.Text))
		case aSubAgent:
			fmt.Fprintf(out, "## Sub-agent %s\n", code(p.Name))
		case aCall:
			state := ""
			if p.Error {
				state = " failed"
			}
			fmt.Fprintf(out, "**Call** %s%s\n\n%s\n", code(p.Name), state, fence(p.Text, "json"))
			if p.Changed != "" {
				fmt.Fprintf(out, "\n*A person changed it to:*\n\n%s\n\n", fence(p.Changed, "json"))
			}
			fmt.Fprintln(out, fence(p.Result, ""))
			if p.Image != nil {
				fmt.Fprintf(out, "\n*The %s, is left out.*\n", escapeLine(p.Image.String()))
			}
		}
	}
	return out.Flush()
}

// heading says what kind of prompt it is.
func heading(p part) string {
	if p.Steer {
		return "Said to the turn at work"
	}
	return "Prompt"
}

// quote puts a text into a block quote.
func quote(text string) string {
	return "> " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n> ")
}

// longestRun is the longest run of backticks in a text.
func longestRun(text string) int {
	longest, run := 0, 0
	for i := range len(text) {
		if text[i] != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// fence puts a text into a code block that it cannot end.
func fence(text, language string) string {
	marks := strings.Repeat("`", max(3, longestRun(text)+1))
	return marks + language + "\n" + strings.TrimRight(text, "\n") + "\n" + marks
}

// code puts a text of one line into marks of code that it cannot end.
func code(text string) string {
	text = oneLine(text)
	marks := strings.Repeat("`", longestRun(text)+1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return marks + text + marks
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// escapeLine is a line whose signs mean nothing to Markdown.
func escapeLine(text string) string {
	var out strings.Builder
	for _, r := range oneLine(text) {
		if strings.ContainsRune("\\`*_{}[]<>#|~!", r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}
