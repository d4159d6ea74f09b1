package tools

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"ml-intern/internal/github"
	"ml-intern/internal/tool"
)

type githubInput struct {
	Operation string `json:"operation"`
	Repo      string `json:"repo,omitempty"`
	Path      string `json:"path,omitempty" jsonschema:"file or folder; or the address of its page, instead of repo"`
	Ref       string `json:"ref,omitempty"`
	Offset    int    `json:"offset,omitempty" jsonschema:"first line, from 1"`
	Limit     int    `json:"limit,omitempty" jsonschema:"lines (1000 at most), or how many to list (100 at most)"`
	Query     string `json:"query,omitempty" jsonschema:"words; of examples, all in the path"`
	Owner     string `json:"owner,omitempty"`
	Language  string `json:"language,omitempty"`
	Sort      string `json:"sort,omitempty"`
	Forks     bool   `json:"forks,omitempty"`
}

const (
	usualGitHubLines = 400
	usualGitHubHits  = 20
	mostGitHubHits   = 100
	maxGitHubText    = 32_000 // bytes
)

// GitHub reads repositories of GitHub.
func GitHub(c *github.Client) tool.Tool {
	operations := map[string]func(githubCall, context.Context) (tool.Output, error){
		"examples": githubCall.examples, "read": githubCall.read, "search_code": githubCall.searchCode,
		"search_repos": githubCall.searchRepos, "list_repos": githubCall.listRepos,
	}
	return tool.New(spec("github", tool.Reads), func(ctx context.Context, in githubInput, _ tool.Call) (tool.Output, error) {
		run, ok := operations[strings.ToLower(in.Operation)]
		if !ok {
			return badArgs("there is no operation %q: examples, read, search_code, search_repos and list_repos are there", in.Operation), nil
		}
		g := githubCall{c, in, usualGitHubHits}
		if in.Limit > 0 {
			g.limit = min(in.Limit, mostGitHubHits)
		}
		out, err := run(g, ctx)
		if err != nil {
			return failing(ctx, "GitHub", githubHint(err))
		}
		if low, ok := c.Low(); ok && !out.IsError {
			out.Text += fmt.Sprintf("\n[GitHub answers %d more requests before %s]\n", low.Remaining, low.Reset.UTC().Format("15:04 UTC"))
		}
		return out, nil
	})
}

// githubHint is hint, for errors that do not say it themselves.
func githubHint(err error) error {
	if _, ok := errors.AsType[*github.LimitError](err); ok {
		return fmt.Errorf("%w; until then, use what is installed, or get a file's own address with web_fetch", err)
	}
	return hint(err)
}

type githubCall struct {
	*github.Client
	in    githubInput
	limit int
}

func (g githubCall) examples(ctx context.Context) (tool.Output, error) {
	repo, err := github.ParseRepo(g.in.Repo)
	if err != nil {
		return badArgs("%v", err), nil
	}
	found, err := g.Examples(ctx, repo, g.in.Ref, g.in.Query, g.limit)
	if err != nil {
		return tool.Output{}, err
	}
	if found.Total == 0 {
		return tool.Output{}, fmt.Errorf("%s has no example%s; try fewer words, or look at its folders with read", found.Repo, forWords(g.in.Query))
	}
	var b strings.Builder
	moved(&b, repo, found.Repo)
	if found.Anywhere {
		b.WriteString("[no example has these words in its path; these are other files that have]\n")
	}
	for _, e := range found.Files {
		fmt.Fprintf(&b, "%s (%s)\n", e.Path, bytesOf(e.Size))
	}
	if more := found.Total - len(found.Files); more > 0 {
		fmt.Fprintf(&b, "[%d more]\n", more)
	}
	if found.Truncated {
		b.WriteString("[the repository is so large that GitHub did not list all of its files]\n")
	}
	fmt.Fprintf(&b, "read one with operation read, repo %s and its path\n", found.Repo)
	what := fmt.Sprintf("the files of github.com/%s at %s", found.Repo, cmp.Or(g.in.Ref, "the default branch"))
	return outside(what, cutText(b.String(), maxGitHubText), "%d examples in %s%s", found.Total, found.Repo, forWords(g.in.Query)), nil
}

func forWords(words string) string {
	if words == "" {
		return ""
	}
	return " for " + words
}

func moved(b *strings.Builder, asked, now string) {
	if !strings.EqualFold(asked, now) {
		fmt.Fprintf(b, "[%s has moved: it is %s now]\n", asked, now)
	}
}

// place is what a call of read is about.
func (g githubCall) place() (github.Place, error) {
	p := github.Place{Path: strings.Trim(g.in.Path, "/")}
	for _, address := range []string{g.in.Path, g.in.Repo} {
		if from, ok := github.ParsePlace(address); ok {
			if address == g.in.Repo && g.in.Path != "" {
				from.Path = p.Path
			}
			p = from
			break
		}
	}
	if strings.Contains(p.Path, "://") {
		return p, fmt.Errorf("%s is not on github.com; get it with web_fetch", g.in.Path)
	}
	repo, err := github.ParseRepo(cmp.Or(p.Repo, g.in.Repo))
	if err != nil {
		return p, err
	}
	for _, part := range strings.Split(p.Path, "/") {
		if part == ".." || part == "." {
			return p, fmt.Errorf("path must be a path in the repository, not %q", p.Path)
		}
	}
	p.Repo, p.Ref = repo, cmp.Or(g.in.Ref, p.Ref)
	return p, nil
}

func (g githubCall) read(ctx context.Context) (tool.Output, error) {
	p, err := g.place()
	if err != nil {
		return badArgs("%v", err), nil
	}
	c, err := g.Read(ctx, p)
	if _, limited := errors.AsType[*github.LimitError](err); limited && p.Path != "" {
		return tool.Output{}, fmt.Errorf("%w; meanwhile web_fetch can get https://raw.githubusercontent.com/%s/%s/%s", err, p.Repo, cmp.Or(p.Ref, "HEAD"), p.Path)
	}
	if err != nil {
		return tool.Output{}, err
	}
	var b strings.Builder
	moved(&b, p.Repo, c.Repo)
	what := fmt.Sprintf("%s of github.com/%s at %s", cmp.Or(c.Path, "the root"), c.Repo, cmp.Or(p.Ref, "the default branch"))
	switch {
	case c.Folder:
		writeFolder(&b, c)
		return outside(what, cutText(b.String(), maxGitHubText), "%d entries in %s", len(c.Entries), what), nil
	case c.Note != "":
		b.WriteString(c.Note + "\n")
		return outside(what, b.String(), "%s: %s", what, c.Note), nil
	}
	text, err := g.text(p, c)
	if err != nil {
		return tool.Output{}, err
	}
	b.WriteString(text)
	return outside(what, b.String(), "%s, %s", what, bytesOf(c.Size)), nil
}

func writeFolder(b *strings.Builder, c *github.Content) {
	for _, e := range c.Entries {
		name := path.Base(e.Path)
		switch e.Type {
		case "dir", "tree":
			b.WriteString(name + "/\n")
		case "file", "blob":
			fmt.Fprintf(b, "%s (%s)\n", name, bytesOf(e.Size))
		default:
			fmt.Fprintf(b, "%s (%s)\n", name, e.Type)
		}
	}
	if len(c.Entries) == 0 {
		b.WriteString("[the folder is empty]\n")
	}
	if c.Note != "" {
		b.WriteString("[" + c.Note + "]\n")
	}
}

// text are the lines of a file that are asked for.
func (g githubCall) text(p github.Place, c *github.Content) (string, error) {
	data, note := c.Data, ""
	if strings.EqualFold(path.Ext(c.Path), ".ipynb") {
		if cells, err := github.Notebook(data); err == nil {
			data = []byte(cells)
		} else {
			note = fmt.Sprintf("[%v; this is the file as it is]\n", err)
		}
	}
	if bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/")) {
		note = "[the file itself is in Git LFS; this is only the pointer to it]\n"
	}
	offset, limit := g.in.Offset, g.in.Limit
	if offset == 0 && limit == 0 && p.First > 0 { // as the address says
		offset, limit = p.First, p.Last-p.First+1
	}
	if offset < 0 || limit < 0 {
		return "", fmt.Errorf("lines are counted from 1, and the first comes before the last")
	}
	l := newLines(offset, cmp.Or(limit, usualGitHubLines))
	_, err := l.Write(data)
	if errors.Is(err, errBinary) {
		return "", fmt.Errorf("%s is not text (%s); download %s if you need it", c.Path, bytesOf(c.Size), c.URL)
	}
	return note + bounded(l.text(errors.Is(err, errEnough) && !endsAt(data, l.seen)), l.first), nil
}

// bounded keeps as many of the numbered lines as an answer may have.
func bounded(text string, first int) string {
	if len(text) <= 2*maxGitHubText {
		return text
	}
	end := strings.LastIndexByte(text[:2*maxGitHubText], '\n') + 1
	return text[:end] + fmt.Sprintf("[go on with offset %d]\n", first+strings.Count(text[:end], "\n")+1)
}

// endsAt reports whether a text has so many lines.
func endsAt(data []byte, lines int) bool {
	n := bytes.Count(data, []byte("\n"))
	if len(data) > 0 && data[len(data)-1] != '\n' {
		n++
	}
	return n <= lines
}

func (g githubCall) searchCode(ctx context.Context) (tool.Output, error) {
	if strings.TrimSpace(g.in.Query) == "" {
		return badArgs("search_code needs query"), nil
	}
	q := github.CodeQuery{Words: g.in.Query, Owner: g.in.Owner, Language: g.in.Language, Path: g.in.Path, Limit: g.limit}
	if g.in.Repo != "" {
		repo, err := github.ParseRepo(g.in.Repo)
		if err != nil {
			return badArgs("%v", err), nil
		}
		q.Repo = repo
	}
	hits, total, err := g.SearchCode(ctx, q)
	if errors.Is(err, github.ErrNoToken) {
		return tool.Output{}, fmt.Errorf("%w; without one, find files by their path with the operation examples, and read them", err)
	}
	if err != nil {
		return tool.Output{}, err
	}
	if len(hits) == 0 {
		return tool.Output{}, fmt.Errorf("no code was found for %s; try other words, or fewer filters", g.in.Query)
	}
	var b strings.Builder
	for _, h := range hits {
		fmt.Fprintf(&b, "%s %s · %s\n", h.Repo, h.Path, h.URL)
		for _, part := range h.Parts[:min(len(h.Parts), 2)] {
			b.WriteString("    " + strings.ReplaceAll(cutText(strings.TrimSpace(part), 600), "\n", "\n    ") + "\n")
		}
	}
	return outside("a search for code on GitHub", cutText(b.String(), maxGitHubText), "%d of %d files for %s", len(hits), total, g.in.Query), nil
}

func (g githubCall) searchRepos(ctx context.Context) (tool.Output, error) {
	if strings.TrimSpace(g.in.Query+g.in.Owner+g.in.Language) == "" {
		return badArgs("search_repos needs query, owner or language"), nil
	}
	return g.repos(ctx)
}

func (g githubCall) listRepos(ctx context.Context) (tool.Output, error) {
	if g.in.Owner == "" {
		return badArgs("list_repos needs owner"), nil
	}
	return g.repos(ctx)
}

func (g githubCall) repos(ctx context.Context) (tool.Output, error) {
	switch g.in.Sort {
	case "", "stars", "forks", "updated", "best":
	default:
		return badArgs("sort must be stars, forks, updated or best, not %q", g.in.Sort), nil
	}
	found, err := g.SearchRepos(ctx, github.RepoQuery{
		Words: g.in.Query, Owner: g.in.Owner, Language: g.in.Language, Sort: g.in.Sort, Forks: g.in.Forks, Limit: g.limit,
	})
	if err != nil {
		return tool.Output{}, err
	}
	if len(found.Repos) == 0 {
		return tool.Output{}, errors.New("no repository was found; try fewer words or filters, or forks: true")
	}
	var b strings.Builder
	for _, r := range found.Repos {
		b.WriteString(repoLine(r) + "\n")
	}
	if more := found.Total - len(found.Repos); more > 0 {
		fmt.Fprintf(&b, "[%d more]\n", more)
	}
	if found.Incomplete {
		b.WriteString("[GitHub gave up before it had looked everywhere; ask again for the rest]\n")
	}
	return outside("a search for repositories on GitHub", cutText(b.String(), maxGitHubText), "%d of %d repositories", len(found.Repos), found.Total), nil
}

// repoLine is a repository in one line.
func repoLine(r github.Repo) string {
	facts := []string{r.Name, fmt.Sprintf("%d stars", r.Stars), fmt.Sprintf("%d forks", r.Forks)}
	add := func(format, value string) {
		if value != "" {
			facts = append(facts, fmt.Sprintf(format, value))
		}
	}
	add("%s", r.Language)
	if r.License != nil {
		add("%s", r.License.ID)
	}
	if at, err := time.Parse(time.RFC3339, r.Updated); err == nil {
		add("changed %s", at.UTC().Format("2006-01-02"))
	}
	if r.Archived {
		add("%s", "archived")
	}
	if r.Fork {
		add("%s", "a fork")
	}
	add("%s", strings.Join(r.Topics[:min(len(r.Topics), 5)], ", "))
	add("%s", shorten(r.Description, 120))
	return strings.Join(facts, " · ")
}
