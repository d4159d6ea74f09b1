package tools

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"ml-intern/internal/hub"
	hubcard "ml-intern/internal/hub/card"
	"ml-intern/internal/job"
	"ml-intern/internal/tool"
)

// dialer connects to the chosen Hub when a call needs it.
type dialer func(ctx context.Context) (*hub.Client, error)

// statuses is the part of a job backend that Publish uses.
type statuses interface {
	Status(ctx context.Context, id string) (job.Status, error)
	Collect(ctx context.Context, id string) error
}

type publishInput struct {
	Repo       string   `json:"repo" jsonschema:"NAME or OWNER/NAME"`
	Private    *bool    `json:"private,omitempty" jsonschema:"default true"`
	Job        string   `json:"job" jsonschema:"that made the model"`
	Files      []string `json:"files" jsonschema:"workspace files, with the exact training script"`
	Evaluation string   `json:"evaluation,omitempty" jsonschema:"an eval.json: metric, value, n, split, data_sha256, metrics"`
	Card       CardText `json:"card"`
}

func (in publishInput) private() bool { return in.Private == nil || *in.Private }

// Publish puts a model on the Hub in one commit: its files, and a card whose
// numbers come from the job's metrics and the evaluation. Publishing the same
// again changes nothing, so a crash in the middle is finished, not repeated.
func Publish(connect dialer, sb disk, jobs statuses, made Provenance) tool.Tool {
	p := publisher{connect, sb, jobs, made}
	s := spec("publish", tool.Publishes)
	s.Resumable = true
	s.Impact = impact(tool.Publishes, func(in publishInput, i *tool.Impact) {
		i.Public, i.Object, i.Repo = !in.private(), in.Repo, in.Repo
		for _, file := range in.Files {
			abs, _ := sb.Resolve(file)
			i.Paths = append(i.Paths, touched(abs)...)
		}
	})
	return tool.New(s, p.run)
}

type publisher struct {
	connect dialer
	sb      disk
	jobs    statuses
	made    Provenance
}

// publishResult is what the model is told.
type publishResult struct {
	Repo      string          `json:"repo"`
	URL       string          `json:"url"`
	Commit    string          `json:"commit"`
	Private   bool            `json:"private"`
	Unchanged bool            `json:"unchanged"` // everything was there already
	Files     []publishedFile `json:"files"`
}

type publishedFile struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
}

func (p publisher) run(ctx context.Context, in publishInput, call tool.Call) (tool.Output, error) {
	status, err := p.jobs.Status(ctx, in.Job)
	if err != nil {
		return tool.Output{}, fmt.Errorf("job %s: %w", in.Job, err)
	}
	if status.State != job.Succeeded {
		return tool.Output{}, fmt.Errorf("job %s is %s; only what a job that succeeded made can be published", in.Job, status.State)
	}
	if err := p.jobs.Collect(ctx, in.Job); err != nil {
		return tool.Output{}, fmt.Errorf("bring the results of job %s here: %w", in.Job, err)
	}
	sources, published, err := p.collect(in.Files, status)
	if err != nil {
		return tool.Output{}, err
	}
	problem, err := secretIn(sources)
	if err != nil {
		return tool.Output{}, err
	}
	if problem != "" {
		return tool.Output{}, fmt.Errorf("%s; nothing was published: leave it out", problem)
	}
	client, err := p.connect(ctx)
	if err != nil {
		return tool.Output{}, err
	}
	repo, err := p.repository(ctx, client, in)
	if err != nil {
		return tool.Output{}, err
	}
	readme, there, err := p.readme(ctx, client, repo, in, status)
	if err != nil {
		return tool.Output{}, err
	}
	if !there {
		if _, err := client.CreateRepo(ctx, repo, hub.CreateOptions{Private: in.private(), ExistOK: true}); err != nil {
			return tool.Output{}, err
		}
	}
	info, err := client.RepoInfo(ctx, repo, "")
	if err != nil {
		return tool.Output{}, err
	}
	sources = append(sources, hub.File{Path: "README.md", Content: readme})
	call.Log(fmt.Sprintf("uploading %d files to %s", len(sources), repo))
	commit, err := client.Upload(ctx, repo, hub.Commit{
		Message:     "Publish " + repo.Name,
		Description: fmt.Sprintf("ml-intern session %s, job %s", p.made.Session, in.Job),
		Files:       sources,
		Memory:      p.made.Memory,
	})
	if err != nil {
		return tool.Output{}, fmt.Errorf("publish %s: %w", repo, err)
	}
	url := client.RepoURL(repo)
	out, err := object(publishResult{
		Repo: repo.String(), URL: url, Commit: commit.Commit, Private: info.Private, Unchanged: commit.Unchanged, Files: published,
	}, "published "+url)
	out.Artifacts = []tool.Artifact{{Kind: "model", URL: url}}
	out.Facts = []tool.Fact{{Kind: "Published", Name: repo.String(), Text: fmt.Sprintf("%s, commit %s, from job %s", url, commit.Commit, in.Job)}}
	return out, err
}

// repository is where to publish, if the account may.
func (p publisher) repository(ctx context.Context, client *hub.Client, in publishInput) (hub.RepoID, error) {
	repo, err := hub.ParseRepo(hub.Model, in.Repo)
	if err != nil {
		return repo, err
	}
	if repo.Type != hub.Model {
		return repo, fmt.Errorf("%s is a %s; publish makes models", in.Repo, repo.Type)
	}
	account, err := client.WhoAmI(ctx)
	if err != nil {
		return repo, err
	}
	repo.Namespace = cmp.Or(repo.Namespace, account.Name)
	if !account.CanWriteRepo(repo) {
		return repo, fmt.Errorf("the token of %s may not write to %s: the person must log in with one that may (ml-intern login)", account.Name, repo)
	}
	return repo, nil
}

// collect checks the files: inside the workspace, each name once, and among
// them the script that really ran.
func (p publisher) collect(paths []string, status job.Status) ([]hub.File, []publishedFile, error) {
	var sources []hub.File
	var published []publishedFile
	hasScript := status.ScriptSHA256 == ""
	for _, path := range paths {
		abs, inside := p.sb.Resolve(path)
		name := filepath.Base(abs)
		if !inside {
			return nil, nil, fmt.Errorf("%s is outside the workspace; only workspace files can be published", path)
		}
		if name == "README.md" {
			return nil, nil, errors.New("README.md is written from the record; give its text in card")
		}
		if slices.ContainsFunc(published, func(f publishedFile) bool { return f.Path == name }) {
			return nil, nil, fmt.Errorf("two files are named %s", name)
		}
		list, isFolder, err := localFiles(p.sb, abs)
		if isFolder {
			err = errors.New("it is a folder; name the files in it")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("publish %s: %w", path, err)
		}
		sum, size, err := hashOf(list[0])
		if err != nil {
			return nil, nil, fmt.Errorf("publish %s: %w", path, err)
		}
		hasScript = hasScript || sum == status.ScriptSHA256
		sources = append(sources, hub.File{Path: name, Local: list[0].Local, Root: list[0].Root})
		published = append(published, publishedFile{name, size, sum})
	}
	if !hasScript {
		return nil, nil, fmt.Errorf("none of the files is the script that job %s ran (sha256 %s); publish the exact script", status.ID, status.ScriptSHA256)
	}
	return sources, published, nil
}

func hashFile(path string) (sum string, size int64, err error) {
	return hashOf(hub.File{Local: path})
}

func hashOf(file hub.File) (sum string, size int64, err error) {
	f, err := file.Open()
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, errors.New("there is no such file")
	}
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), size, err
}

// cardOf reads the card that a repository has, nil if there is none. What was
// meant to be private must not land where everybody can read it.
func cardOf(ctx context.Context, client *hub.Client, repo hub.RepoID, private bool) (text []byte, there bool, err error) {
	info, err := client.RepoInfo(ctx, repo, "")
	switch {
	case errors.Is(err, hub.ErrNotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case private && !info.Private:
		return nil, true, fmt.Errorf("%s exists and is public; take another name, or the person must ask for public", repo)
	}
	var b limitedBuffer
	_, err = client.Download(ctx, repo, "", "README.md", &b)
	if errors.Is(err, hub.ErrNotFound) {
		err = nil
	}
	return b.text, true, err
}

// readme writes the model card over the one that is there, and holds it against
// the Hub's rules before anything is made.
func (p publisher) readme(ctx context.Context, client *hub.Client, repo hub.RepoID, in publishInput, status job.Status) (text []byte, there bool, err error) {
	before, there, err := cardOf(ctx, client, repo, in.private())
	if err != nil {
		return nil, there, err
	}
	text, err = p.write(ctx, in, repo, status, before)
	if err != nil {
		return nil, there, err
	}
	if problems := hubcard.Parse(text).Check(string(hub.Model)); hubcard.Failed(problems) {
		return nil, there, fmt.Errorf("the Hub would not take the card: %s; nothing was made", problems[0])
	}
	return text, there, nil
}

// write renders the model card.
func (p publisher) write(ctx context.Context, in publishInput, repo hub.RepoID, status job.Status, before []byte) ([]byte, error) {
	metrics, err := readMetrics(ctx, p.sb, status)
	if err != nil {
		return nil, fmt.Errorf("metrics of job %s: %w", in.Job, err)
	}
	c := card{repo: repo.Name, text: in.Card, made: p.made, job: in.Job, script: status.ScriptSHA256, machine: status.Hardware, metrics: metrics}
	for _, path := range in.Files {
		c.files = append(c.files, filepath.Base(path))
	}
	if in.Evaluation != "" {
		data, err := p.sb.ReadFile(ctx, in.Evaluation, maxMetricsFile)
		if err != nil {
			return nil, err
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		c.eval = new(evaluation)
		if err := dec.Decode(c.eval); err != nil {
			return nil, fmt.Errorf("read evaluation %s: %w", in.Evaluation, err)
		}
		if err := c.eval.check(); err != nil {
			return nil, fmt.Errorf("read evaluation %s: %w", in.Evaluation, err)
		}
	}
	return c.markdown(before)
}

func (e *evaluation) check() error {
	switch {
	case e.Metric == "":
		return errors.New(`"metric" is missing`)
	case e.N <= 0:
		return errors.New(`"n", the number of rows, is missing`)
	}
	if e.Split == "" {
		e.Split = "holdout"
	}
	if e.Metrics == nil {
		e.Metrics = make(map[string]float64)
	}
	e.Metrics[e.Metric] = e.Value
	return nil
}
