package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the pages show as configuration works when it is pasted: a whole block, as
// Markdown shows it.
func TestDocsCanBePasted(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatal(err, "no pages")
	}
	setting := regexp.MustCompile(`(?m)^[a-z_]+:( |$)`)
	found := 0
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks(string(data)) {
			if !setting.MatchString(block) {
				continue
			}
			found++
			if _, err := loaded(t, block, t.TempDir(), "SLACK_BOT_TOKEN=xoxb-1", "HOOK_SECRET=what-openssl-rand-hex-16-prints", "SMTP_PASSWORD=x"); err != nil {
				t.Errorf("%s: %v in\n%s", filepath.Base(page), err, block)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d blocks were found", found)
	}
}

// blocks are the indented blocks of a page. Blank lines between are in them.
func blocks(page string) (all []string) {
	block := ""
	for line := range strings.Lines(page + "\nend\n") {
		switch text, indented := strings.CutPrefix(line, "    "); {
		case indented:
			block += text
		case strings.TrimSpace(line) == "":
			block += "\n"
		default:
			if strings.TrimSpace(block) != "" {
				all = append(all, block)
			}
			block = ""
		}
	}
	return all
}
