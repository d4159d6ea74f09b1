package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/tool"
)

type hubFilesInput struct {
	Operation string   `json:"operation"`
	Repo      string   `json:"repo_id"`
	Type      string   `json:"repo_type,omitempty"`
	Revision  string   `json:"revision,omitempty" jsonschema:"branch, tag, commit or refs/pr/N"`
	Path      string   `json:"path,omitempty" jsonschema:"list: a folder; read: the file; upload: where to put it"`
	Recursive bool     `json:"recursive,omitempty"`
	Offset    int      `json:"offset,omitempty" jsonschema:"list: entries to skip; read: first line, from 1"`
	Limit     int      `json:"limit,omitempty" jsonschema:"list: entries; read: lines"`
	Content   *string  `json:"content,omitempty" jsonschema:"upload: the text"`
	Source    string   `json:"source,omitempty" jsonschema:"upload: workspace file or folder"`
	Ignore    []string `json:"ignore,omitempty" jsonschema:"upload: patterns to leave out"`
	Patterns  []string `json:"patterns,omitempty" jsonschema:"delete: * is anything, folder/ all in it"`
	CreatePR  bool     `json:"create_pr,omitempty"`
	Message   string   `json:"commit_message,omitempty"`
	Public    bool     `json:"public,omitempty" jsonschema:"the person wants this in public"`
}

// HubFiles lists, reads, uploads and deletes files of repositories. Memory is a
// folder for what an upload must remember to be taken up again.
func HubFiles(connect dialer, sb disk, memory string) tool.Tool {
	h := hubFiles{connect, sb, memory}
	s := spec("hf_repo_files", tool.Publishes)
	s.Impact = impact(tool.Publishes, func(in hubFilesInput, i *tool.Impact) {
		i.Repo = in.Repo
		switch operation(in.Operation) {
		case "list", "read":
			i.Effect = tool.Reads
		case "delete":
			i.Public = in.Public
			i.Deletes, i.Object = !in.CreatePR, in.Repo+": "+strings.Join(in.Patterns, ", ")
		case "upload":
			i.Public, i.Object = in.Public, in.Repo+": "+cmp.Or(in.Path, in.Source)
			abs, inside := sb.Resolve(cmp.Or(in.Source, "."))
			if !inside {
				i.Outside = "it uploads " + abs + ", outside the workspace"
			}
			if in.Source != "" {
				i.Paths = touched(abs)
			}
		}
	})
	return tool.New(s, h.run)
}

type hubFiles struct {
	connect dialer
	sb      disk
	memory  string
}

func (h hubFiles) run(ctx context.Context, in hubFilesInput, call tool.Call) (tool.Output, error) {
	operations := map[string]func(context.Context, *hub.Client, hub.RepoID, hubFilesInput, tool.Call) (tool.Output, error){
		"list": h.list, "read": h.read, "upload": h.upload, "delete": h.remove,
	}
	do, ok := operations[operation(in.Operation)]
	if !ok {
		return badArgs("there is no operation %.40q: list, read, upload and delete are there", in.Operation), nil
	}
	repo, err := repository(in.Repo, in.Type)
	if err != nil {
		return badArgs("%v", err), nil
	}
	client, err := h.connect(ctx)
	if err != nil {
		return tool.Output{}, err
	}
	out, err := do(ctx, client, repo, in, call)
	return out, explain(ctx, client, repo, err)
}

// badArgs is the result of a call whose arguments are of no use.
func badArgs(format string, args ...any) tool.Output {
	text := fmt.Sprintf(format, args...)
	return tool.Output{Text: text, IsError: true, BadArgs: true, Summary: text}
}

// operation reads the name of an operation as models write it.
func operation(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// repository reads what the model calls a repository: its id, or the address of
// its page.
func repository(id, typ string) (hub.RepoID, error) {
	id = strings.Trim(strings.TrimPrefix(strings.TrimSpace(id), "https://huggingface.co/"), "/")
	switch {
	case id == "":
		return hub.RepoID{}, errors.New("the repository is missing: OWNER/NAME")
	case len(id) > 200:
		return hub.RepoID{}, fmt.Errorf("%d characters are no repository: OWNER/NAME", len(id))
	}
	return hub.ParseRepo(hub.RepoType(strings.TrimSuffix(strings.ToLower(typ), "s")), id)
}

const (
	maxEntries    = 200
	maxScanned    = 20_000 // entries of one listing that are counted
	maxRemoteRead = 64 << 20
)

// list shows a folder, or all below it.
func (h hubFiles) list(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubFilesInput, _ tool.Call) (tool.Output, error) {
	limit := maxEntries
	if in.Limit > 0 {
		limit = min(in.Limit, maxEntries)
	}
	offset := max(in.Offset, 0)
	opts := hub.TreeOptions{Revision: in.Revision, Path: strings.Trim(in.Path, "/"), Recursive: in.Recursive}
	var shown strings.Builder
	var files, folders int
	var total int64
	complete := true
	for e, err := range c.ListTree(ctx, repo, opts) {
		if err != nil {
			return tool.Output{}, err
		}
		n := files + folders
		if n == maxScanned {
			complete = false
			break
		}
		line := e.Path + "/"
		if e.Dir {
			folders++
		} else {
			files++
			total += e.Size
			line = fmt.Sprintf("%s (%s)", e.Path, bytesOf(e.Size))
		}
		if n >= offset && n < offset+limit {
			fmt.Fprintln(&shown, line)
		}
	}
	head := fmt.Sprintf("%s: %s (%s) and %s in %s", repo.Path(), plural(files, "file"), bytesOf(total), plural(folders, "folder"), cmp.Or(opts.Path, "the root"))
	if !complete {
		head += fmt.Sprintf("; only the first %d entries were counted", maxScanned)
	}
	text := head + "\n" + treeURL(c, repo, in.Revision, opts.Path) + "\n" + shown.String()
	if n := files + folders; n > offset+limit {
		text += fmt.Sprintf("[%d more; go on with offset %d]\n", n-offset-limit, offset+limit)
	}
	return tool.Output{Text: fromOutside(c.RepoURL(repo), text), Summary: head}, nil
}

func treeURL(c *hub.Client, repo hub.RepoID, rev, sub string) string {
	return strings.TrimSuffix(pageURL(c, repo, "tree", rev, sub), "/")
}

func blobURL(c *hub.Client, repo hub.RepoID, rev, file string) string {
	return pageURL(c, repo, "blob", rev, file)
}

// pageURL is the address of a page about a path, escaped for a browser.
func pageURL(c *hub.Client, repo hub.RepoID, kind, rev, sub string) string {
	at := &url.URL{Path: "/" + kind + "/" + cmp.Or(rev, "main") + "/" + sub}
	return c.RepoURL(repo) + at.EscapedPath()
}

// plural counts things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// bytesOf is a size as people read it.
func bytesOf(n int64) string {
	v, unit := float64(n), "B"
	for _, next := range []string{"KB", "MB", "GB", "TB", "PB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, next
	}
	return fmt.Sprintf("%.1f%s", v, unit)
}

// read shows a part of a text file, and fetches no more of it than it must.
func (h hubFiles) read(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubFilesInput, _ tool.Call) (tool.Output, error) {
	if in.Path == "" {
		return badArgs("path is missing: which file is to be read?"), nil
	}
	info, err := c.Stat(ctx, repo, in.Revision, in.Path)
	if err != nil {
		return tool.Output{}, err
	}
	w := newLines(in.Offset, in.Limit)
	_, err = c.Download(ctx, repo, cmp.Or(info.Commit, in.Revision), in.Path, w)
	switch {
	case errors.Is(err, errBinary):
		return tool.Output{}, fmt.Errorf("%s is a binary file of %s; fetch it with hub_download and look at it with a command", in.Path, bytesOf(info.Size))
	case err != nil && !errors.Is(err, errEnough):
		return tool.Output{}, err
	}
	text := w.text(err != nil)
	head := fmt.Sprintf("%s (%s, commit %.8s)\n%s\n", in.Path, bytesOf(info.Size), info.Commit, blobURL(c, repo, in.Revision, in.Path))
	return tool.Output{Text: fromOutside(c.RepoURL(repo), head+text), Summary: fmt.Sprintf("read %s of %s", in.Path, repo)}, nil
}

// upload puts a text, a file or a folder into the repository, in one commit.
func (h hubFiles) upload(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubFilesInput, call tool.Call) (tool.Output, error) {
	if problem := in.uploadProblem(); problem != "" {
		return badArgs("%s", problem), nil
	}
	info, err := c.RepoInfo(ctx, repo, "")
	if err != nil {
		return tool.Output{}, err
	}
	if !info.Private && !in.Public {
		return tool.Output{}, fmt.Errorf("%s is public: what is uploaded there, everybody can read; if the person wants that, call again with public", repo)
	}
	sources, err := h.sources(in)
	if err != nil {
		return tool.Output{}, err
	}
	problem, err := secretIn(append(slices.Clone(sources), hub.File{Path: "the commit message", Content: []byte(in.Message)}))
	if err != nil {
		return tool.Output{}, err
	}
	if problem != "" {
		return tool.Output{}, fmt.Errorf("%s; nothing was uploaded: leave it out", problem)
	}
	call.Log(fmt.Sprintf("uploading %d files to %s", len(sources), repo))
	made, err := c.Upload(ctx, repo, hub.Commit{
		Revision: in.Revision, Message: cmp.Or(in.Message, "Upload "+cmp.Or(in.Path, in.Source)), Files: sources, Pull: in.CreatePR, Memory: h.memory,
	})
	if err != nil {
		return tool.Output{}, err
	}
	if made.Unchanged {
		text := fmt.Sprintf("%s has all of it already: no commit was made", repo)
		return tool.Output{Text: text, Summary: text}, nil
	}
	text := fmt.Sprintf("uploaded %s to %s: %s", plural(len(sources)-len(made.Skipped), "file"), repo, cmp.Or(made.PullURL, made.URL))
	if len(made.Skipped) > 0 {
		text += fmt.Sprintf("\nleft out by the repository's .gitignore: %s", strings.Join(made.Skipped, ", "))
	}
	return changed(repo, text, left(c, repo, made)...), nil
}

func (in hubFilesInput) uploadProblem() string {
	switch {
	case in.Content == nil && in.Source == "":
		return "nothing to upload: give content, or source, a file or folder of the workspace"
	case in.Content != nil && in.Source != "":
		return "give content or source, not both"
	case in.Content != nil && in.Path == "":
		return "path is missing: where is the text to go?"
	}
	return ""
}

// sources are the files that an upload names.
func (h hubFiles) sources(in hubFilesInput) ([]hub.File, error) {
	to := strings.Trim(in.Path, "/")
	if in.Content != nil {
		return []hub.File{{Path: to, Content: []byte(*in.Content)}}, nil
	}
	abs, inside := h.sb.Resolve(in.Source)
	if !inside {
		return nil, fmt.Errorf("%s is outside the workspace; only workspace files can be uploaded", in.Source)
	}
	list, isFolder, err := localFiles(h.sb, abs)
	if err != nil {
		return nil, fmt.Errorf("upload %s: %w", in.Source, err)
	}
	if isFolder {
		unwanted := hub.Filter{Ignore: in.Ignore}
		list = slices.DeleteFunc(list, func(f hub.File) bool { return !unwanted.Match(f.Path) })
		if len(list) == 0 {
			return nil, fmt.Errorf("upload %s: nothing is left of it", in.Source)
		}
	}
	for i := range list {
		if isFolder {
			list[i].Path = path.Join(to, list[i].Path)
		} else if to != "" {
			list[i].Path = to
		}
	}
	return list, nil
}

// remove deletes what matches the patterns, in one commit.
func (h hubFiles) remove(ctx context.Context, c *hub.Client, repo hub.RepoID, in hubFilesInput, _ tool.Call) (tool.Output, error) {
	if len(in.Patterns) == 0 {
		return badArgs("patterns is missing: which files are to be deleted?"), nil
	}
	info, err := c.RepoInfo(ctx, repo, in.Revision)
	if err != nil {
		return tool.Output{}, err
	}
	if in.CreatePR && !info.Private && !in.Public {
		return tool.Output{}, fmt.Errorf("%s is public, and so are its pull requests; if the person wants that, call again with public", repo)
	}
	var doomed []string
	for e, err := range c.ListTree(ctx, repo, hub.TreeOptions{Revision: info.SHA, Recursive: true}) {
		if err != nil {
			return tool.Output{}, err
		}
		if !e.Dir && e.Path != ".gitattributes" && slices.ContainsFunc(in.Patterns, func(p string) bool { return matches(p, e.Path) }) {
			doomed = append(doomed, e.Path)
		}
	}
	if len(doomed) == 0 {
		return tool.Output{}, fmt.Errorf("no file of %s matches %s: nothing was deleted", repo, strings.Join(in.Patterns, ", "))
	}
	made, err := c.Upload(ctx, repo, hub.Commit{
		Revision: in.Revision, Parent: info.SHA, Delete: doomed,
		Message: cmp.Or(in.Message, "Delete "+strings.Join(in.Patterns, ", ")), Pull: in.CreatePR,
	})
	if err != nil {
		return tool.Output{}, err
	}
	verb := "deleted"
	if in.CreatePR {
		verb = "proposed to delete"
	}
	text := fmt.Sprintf("%s %s of %s: %s\n%s", verb, plural(len(doomed), "file"), repo, cmp.Or(made.PullURL, made.URL), strings.Join(doomed[:min(len(doomed), 50)], "\n"))
	return changed(repo, text, left(c, repo, made)...), nil
}

// matches compares as the Hub's own clients do: * crosses folders, and a
// folder's name with a slash stands for all that is in it.
func matches(pattern, name string) bool {
	if strings.HasSuffix(pattern, "/") {
		pattern += "*"
	}
	expr := regexp.QuoteMeta(pattern)
	expr = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(expr)
	ok, err := regexp.MatchString("^(?s:"+expr+")$", name)
	return ok && err == nil
}

// changed is the result of a call that changed a repository.
func changed(repo hub.RepoID, text string, made ...tool.Artifact) tool.Output {
	first, _, _ := strings.Cut(text, "\n")
	return tool.Output{
		Text: text, Summary: first, Artifacts: made,
		Facts: []tool.Fact{{Kind: "Changed on the Hub", Name: repo.Path(), Text: first}},
	}
}

// left is what a commit left behind: the repository and the commit in it, or
// the pull request that proposes it.
func left(c *hub.Client, repo hub.RepoID, made hub.Committed) []tool.Artifact {
	if made.PullURL != "" {
		return []tool.Artifact{{Kind: "pull request", URL: made.PullURL}}
	}
	return []tool.Artifact{{Kind: string(repo.Type), URL: c.RepoURL(repo)}, {Kind: "commit", URL: made.URL}}
}
