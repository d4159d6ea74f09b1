package chat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/config"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/session"
)

// Limits of the commands that people write themselves.
const (
	maxOwn     = 200      // files of a folder
	maxOwnText = 64 << 10 // bytes of one
	maxOwnHelp = 100      // characters
)

var ownName = lazyregexp.New(`^[a-z0-9][a-z0-9_-]{0,40}$`)

// arguments is what stands in a command's text for what follows its name.
const arguments = "$ARGUMENTS"

// ownCommands are the Markdown files of the person's folder, and of the
// project's if the person trusts it: the project's come last and take no name.
func (c *Chat) ownCommands() []Command {
	dir := c.dir()
	all := readOwn(filepath.Join(c.cfg.Paths.Config, "commands"), func() error { return nil })
	if c.cfg.StillTrusted(dir) != nil {
		return all
	}
	for _, o := range readOwn(filepath.Join(config.ProjectDir(dir), "commands"), func() error { return c.cfg.StillTrusted(dir) }) {
		if !slices.ContainsFunc(all, func(p Command) bool { return p.Name == o.Name }) {
			all = append(all, o)
		}
	}
	return all
}

// dir is the workspace.
func (c *Chat) dir() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Dir != "" {
		return c.state.Dir
	}
	return c.cfg.Dir
}

// readOwn lists the commands of a folder; check is asked before one is said.
func readOwn(dir string, check func() error) []Command {
	files, _ := filepath.Glob(filepath.Join(dir, "*.md")) // a folder that is not there has none
	var all []Command
	for _, file := range files[:min(len(files), maxOwn)] {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		text, err := readText(file)
		if err != nil || !ownName.MatchString(name) {
			continue
		}
		args := ""
		if strings.Contains(text, arguments) {
			args = "[ARGUMENTS]"
		}
		all = append(all, Command{Name: "/" + name, Args: args, Help: firstWords(text), Own: file, run: func(c *Chat, args string) (Result, error) {
			if err := check(); err != nil {
				return Result{}, err
			}
			text, err := readText(file)
			if err != nil {
				return Result{}, err
			}
			prompt := filled(text, args)
			if prompt == "" {
				return Result{}, fmt.Errorf("the command %s says nothing", file)
			}
			c.Give(c.withPictures(session.Prompt{Text: prompt})) // no word of a file is a command
			return Result{}, nil
		}})
	}
	return all
}

// unusable says why there is no command of the name although there is a file for
// it, nil if there is none.
func (c *Chat) unusable(name string) error {
	name = strings.TrimPrefix(name, "/")
	if name == "" || strings.ContainsAny(name, "/\\") {
		return nil
	}
	project := filepath.Join(config.ProjectDir(c.dir()), "commands", name+".md")
	file := filepath.Join(c.cfg.Paths.Config, "commands", name+".md")
	there := func(file string) bool {
		_, err := os.Lstat(file)
		return err == nil
	}
	if !there(file) {
		if !there(project) {
			return nil
		}
		if c.cfg.StillTrusted(c.dir()) != nil {
			return fmt.Errorf("%s counts when you trust the folder as it is: ml-intern config trust", project)
		}
		file = project
	}
	if !ownName.MatchString(name) {
		return fmt.Errorf("the name of %s must be of small letters, digits, - and _", file)
	}
	_, err := readText(file)
	return err
}

func readText(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("read command: %w", err)
	}
	if info.Size() > maxOwnText || !info.Mode().IsRegular() {
		return "", fmt.Errorf("the command %s is no file of at most %d bytes", file, maxOwnText)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read command: %w", err)
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(text)), "?"), nil
}

// filled is a command's text with what the person typed after its name.
func filled(text, args string) string {
	_, text = frontMatter(text)
	if strings.Contains(text, arguments) {
		return strings.TrimSpace(strings.ReplaceAll(text, arguments, args))
	}
	return strings.TrimSpace(text + "\n\n" + args)
}

// frontMatter takes the lines between --- off a text, and returns the
// description that they have.
func frontMatter(text string) (description, rest string) {
	if !strings.HasPrefix(text, "---\n") {
		return "", text
	}
	head, rest, ok := strings.Cut(text[4:], "\n---")
	if !ok {
		return "", text
	}
	for line := range strings.Lines(head) {
		if d, ok := strings.CutPrefix(line, "description:"); ok {
			description = strings.Trim(strings.TrimSpace(d), `"'`)
		}
	}
	_, rest, _ = strings.Cut(rest, "\n")
	return description, strings.TrimSpace(rest)
}

// firstWords describes a command: by its description, else its first line.
func firstWords(text string) string {
	description, rest := frontMatter(text)
	if description == "" {
		description, _, _ = strings.Cut(rest, "\n")
	}
	description = strings.TrimSpace(strings.TrimLeft(description, "# "))
	if r := []rune(description); len(r) > maxOwnHelp {
		description = string(r[:maxOwnHelp-1]) + "…"
	}
	return description
}
