package tui

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"

	"ml-intern/internal/tui/edit"
	"ml-intern/internal/tui/style"
)

// clean is text of one or more lines from a model, a tool or a file without
// what a terminal would obey.
func clean(text string) string {
	text = style.Clean(text)
	if strings.Contains(text, "\t") {
		return strings.ReplaceAll(text, "\t", "    ")
	}
	return text
}

// cleanLine is clean for what must stay in one line.
func cleanLine(text string) string {
	return strings.Join(strings.Fields(clean(text)), " ")
}

// cells is how wide the text is on the screen.
func cells(s string) int { return style.Width(s) }

// cutTo shortens plain text to the width.
func cutTo(s string, width int) string {
	if cells(s) <= width {
		return s
	}
	return style.Truncate(style.Line{style.Of(style.Text, s)}, width).Plain()
}

// cutLeft keeps the end of plain text.
func cutLeft(s string, width int) string {
	for cells(s) > width {
		g := displaywidth.StringGraphemes(strings.TrimPrefix(s, "…"))
		if !g.Next() {
			return ""
		}
		s = "…" + strings.TrimPrefix(s, "…")[len(g.Value()):]
	}
	return s
}

// homed writes a folder below the person's home as ~/…
func homed(dir, home string) string {
	home = strings.TrimRight(home, "/")
	if rest, ok := strings.CutPrefix(dir, home); ok && home != "" && (rest == "" || rest[0] == '/') {
		return "~" + rest
	}
	return dir
}

// tokens writes 12,345 as 12k.
func tokens(n int) string {
	switch {
	case n >= 9_950_000:
		return fmt.Sprintf("%dM", (n+500_000)/1_000_000)
	case n >= 999_500:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	case n >= 1000:
		return fmt.Sprintf("%dk", (n+500)/1000)
	}
	return strconv.Itoa(n)
}

// span writes a length of time as people say it.
func span(d time.Duration) string {
	switch s := int(d.Seconds()); {
	case d < 0:
		return "0 s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%dm %02ds", s/60, s%60)
	case s < 48*3600:
		return fmt.Sprintf("%dh %02dm", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%d days", s/86400)
	}
}

// seconds is span without parts of a second, for what counts up on the screen.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%d s", int(max(d, 0).Seconds()))
	}
	return span(d)
}

// plural is "1 line", "2 lines".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return edit.Thousands(n) + " " + what + "s"
}
