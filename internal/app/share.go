package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"ml-intern/internal/approval"
	"ml-intern/internal/config"
	"ml-intern/internal/durable"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/login"
	"ml-intern/internal/llm"
	"ml-intern/internal/secret"
	"ml-intern/internal/session"
	"ml-intern/internal/tool"
	"ml-intern/internal/trace"
)

// ShareTool is the name by which rules know the sharing of a session.
const ShareTool = "share"

// ShareOptions say where a session's trace goes, and who sees it.
type ShareOptions struct {
	Visibility string // one of config.ShareWords without off; "" for the configured one, else private
	Repo       string // NAME or OWNER/NAME; "" for the configured one
}

// A SharePlan is a session as it would be shared: written on this machine, and
// looked through. Nothing of it has left. Close it.
type SharePlan struct {
	ID         string `json:"session"`
	Title      string `json:"title"`
	Hub        string `json:"hub"`
	Repo       string `json:"repo"`
	URL        string `json:"url"`
	Visibility string `json:"visibility"` // of the dataset afterwards
	Now        string `json:"now"`        // its visibility now, "" if it does not exist
	Unchanged  bool   `json:"unchanged"`  // the Hub has all of it

	trace.Count
	Bytes    int64             `json:"bytes"`
	Files    []trace.File      `json:"files"`
	Others   int               `json:"other_traces"` // in the dataset
	Redacted []trace.Redaction `json:"redacted"`
	Before   int               `json:"redacted_before"`
	Beware   []string          `json:"beware"`

	app   *App
	share *trace.Share
	dir   string
	lock  *flock.Flock // held while the folder is in use
	owner string       // of the dataset, if it is not the person
}

// A shareNote is what this machine remembers of a session that was shared.
type shareNote struct {
	Off        bool      `json:"off,omitempty"` // it is not shared by itself any more
	Hub        string    `json:"hub,omitempty"` // its URL, or "local"
	Repo       string    `json:"repo,omitempty"`
	URL        string    `json:"url,omitempty"` // of the dataset
	Visibility string    `json:"visibility,omitempty"`
	Paths      []string  `json:"paths,omitempty"`
	Commit     string    `json:"commit,omitempty"`
	Time       time.Time `json:"time,omitzero"`
}

func (a *App) sharesDir() string { return filepath.Join(a.cfg.Paths.State, "shares") }

func (a *App) shareFile(id string) string { return filepath.Join(a.sharesDir(), id+".json") }

func (a *App) shareNote(id string) (note shareNote, err error) {
	data, err := os.ReadFile(a.shareFile(id))
	if errors.Is(err, fs.ErrNotExist) {
		return note, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &note)
	}
	if err != nil {
		return note, fmt.Errorf("read what was shared of session %s: %w", id, err)
	}
	return note, nil
}

func (a *App) keepShareNote(id string, note shareNote) error {
	data, err := json.Marshal(note)
	if err == nil {
		err = os.MkdirAll(a.sharesDir(), 0o700)
	}
	if err == nil {
		err = durable.Replace(a.shareFile(id), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("remember what was shared of session %s: %w", id, err)
	}
	return nil
}

// errNobody says that there is nobody to whom a dataset could belong.
var errNobody = fmt.Errorf("%w: a session is shared into a dataset of an account; nothing was sent", login.ErrNoToken)

// shareHub is the Hub that sessions are shared on: the one that the person
// chose, else the public one. The Hub that a session began with may be another.
func (a *App) shareHub(ctx context.Context) (client *hub.Client, who hub.Account, choice string, err error) {
	choice = cmp.Or(a.hubAsked, a.cfg.Getenv("HF_ENDPOINT"), publicHub)
	if choice != LocalHub && a.cfg.Getenv("HF_OIDC_RESOURCE") == "" {
		if _, ok := a.keyring(choice).Find(); !ok {
			return nil, who, "", errNobody
		}
	}
	if client, err = a.clientOf(ctx, choice); err != nil {
		return nil, who, "", err
	}
	if who, err = client.WhoAmI(ctx); err != nil {
		return nil, who, "", fmt.Errorf("share session: %w", err)
	}
	return client, who, strings.TrimRight(choice, "/"), nil
}

// scrubber takes out of a trace what is the person's own.
func (a *App) scrubber(client *hub.Client) *trace.Scrubber {
	secrets := a.secrets()
	if client != nil {
		secrets = append(secrets, client.Token)
	}
	return trace.NewScrubber(secret.New(secrets...), cmp.Or(a.cfg.Getenv("HOME"), a.cfg.Getenv("USERPROFILE")))
}

// sharedFamily is a session and its sub-agents', which go with it.
func (a *App) sharedFamily(ctx context.Context, id string) ([]session.Summary, error) {
	family, err := a.family(ctx, id)
	if err != nil {
		return nil, err
	}
	slices.Reverse(family) // in the order of their beginning
	at := slices.IndexFunc(family, func(s session.Summary) bool { return s.ID == id })
	if at < 0 {
		return nil, fmt.Errorf("session %s: %w", id, session.ErrNotFound)
	}
	if p := family[at].Parent; p != "" {
		return nil, fmt.Errorf("%w: session %s is a sub-agent's: share the one that it worked for, %s", ErrUsage, id, p)
	}
	main := family[at]
	return append([]session.Summary{main}, slices.Delete(family, at, at+1)...), nil
}

// PlanShare writes the trace of a session, looks through it, and asks the Hub
// where it would go.
func (a *App) PlanShare(ctx context.Context, id string, o ShareOptions) (*SharePlan, error) {
	id, err := a.find(ctx, id)
	if err != nil {
		return nil, err
	}
	family, err := a.sharedFamily(ctx, id)
	if err != nil {
		return nil, err
	}
	client, who, choice, err := a.shareHub(ctx)
	if err != nil {
		return nil, err
	}
	to, err := a.shareTarget(client, who, o)
	if err != nil {
		return nil, err
	}
	p := &SharePlan{ID: id, Hub: choice, Repo: to.Repo.String(), URL: client.RepoURL(to.Repo), Visibility: to.Visibility, app: a}
	if p.dir, p.lock, err = a.workShare(); err != nil {
		return nil, err
	}
	scrub := a.scrubber(client)
	p.Title = a.scrubber(client).Text("title", family[0].Title) // which the trace has too: it is counted once
	p.share, err = trace.Prepare(ctx, a.store, family, p.dir, scrub, to)
	if err != nil {
		return nil, errors.Join(p.notPublic(err), p.Close())
	}
	p.Count, p.Bytes, p.Files, p.Others, p.Now = p.share.Count, p.share.Size, p.share.Files, p.share.Others(), p.share.Is
	p.Unchanged, p.Redacted, p.Before = p.share.Unchanged(), scrub.Redacted(), scrub.Before()
	p.warn(who, family[0])
	if p.Unchanged { // also if it was killed before it could remember it
		if err := p.remember(false, ""); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

// remember notes where the session is, so that it can be taken back. That it is
// not shared by itself stays so: this yes was for this once.
func (p *SharePlan) remember(sent bool, commit string) error {
	was, err := p.app.shareNote(p.ID)
	if err != nil {
		return err
	}
	note := shareNote{Off: was.Off, Hub: p.Hub, Repo: p.Repo, URL: p.URL, Visibility: p.Visibility, Commit: commit, Time: time.Now().UTC()}
	if was.Hub == note.Hub && was.Repo == note.Repo {
		note.Paths, note.Commit = was.Paths, cmp.Or(commit, was.Commit)
	} else if !sent && len(was.Paths) > 0 {
		return nil // it was looked at only
	}
	for _, f := range p.Files {
		if !slices.Contains(note.Paths, f.Path) {
			note.Paths = append(note.Paths, f.Path)
		}
	}
	return p.app.keepShareNote(p.ID, note)
}

// notPublic says what a person can do about a dataset that all can see.
func (p *SharePlan) notPublic(err error) error {
	if !errors.Is(err, trace.ErrPublic) {
		return err
	}
	return fmt.Errorf("%w: everyone can see %s, and this is meant for few; nothing was sent: say public if you mean that, private to make the dataset private first, or name another", err, p.Repo)
}

// workShare makes a folder to write traces into, which is in use while the lock
// in it is held, and sweeps those that a crash left.
func (a *App) workShare() (string, *flock.Flock, error) {
	dir := a.sharesDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("make folder for traces: %w", err)
	}
	alone := flock.New(filepath.Join(dir, ".lock"), flock.SetPermissions(0o600)) // nobody sweeps what has no lock yet
	if err := alone.Lock(); err != nil {
		return "", nil, fmt.Errorf("lock folder for traces: %w", err)
	}
	defer func() { _ = alone.Close() }()
	sweepShares(dir)
	work, err := os.MkdirTemp(dir, "work-")
	if err != nil {
		return "", nil, fmt.Errorf("make folder for traces: %w", err)
	}
	lock := flock.New(filepath.Join(work, "lock"), flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return "", nil, fmt.Errorf("lock folder for traces: %w", errors.Join(err, os.RemoveAll(work)))
	}
	return work, lock, nil
}

// sweepShares removes folders of traces that nobody writes any more. What cannot
// be removed, the next share tries again.
func sweepShares(dir string) {
	old, _ := filepath.Glob(filepath.Join(dir, "work-*")) // the pattern is good
	for _, name := range old {
		if _, err := os.Stat(filepath.Join(name, "lock")); err != nil { // of an older version
			if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
				_ = os.RemoveAll(name)
			}
			continue
		}
		lock := flock.New(filepath.Join(name, "lock"))
		if free, err := lock.TryLock(); err == nil && free {
			_ = lock.Unlock() // nobody else wants it; Windows removes no open file
			_ = os.RemoveAll(name)
		}
	}
}

func (a *App) shareTarget(client *hub.Client, who hub.Account, o ShareOptions) (trace.Target, error) {
	visibility := cmp.Or(o.Visibility, a.cfg.Share.Visibility)
	narrow := o.Visibility == config.SharePrivate
	if visibility == config.ShareOff {
		visibility = config.SharePrivate
	}
	if visibility != config.SharePrivate && visibility != config.SharePublic {
		return trace.Target{}, fmt.Errorf("%w: a session is shared private or public, not %q", ErrUsage, visibility)
	}
	repo, err := hub.ParseRepo(hub.Dataset, cmp.Or(o.Repo, a.cfg.Share.Repo, config.DefaultShareRepo))
	if err == nil && repo.Type != hub.Dataset {
		err = fmt.Errorf("%s is a %s, and traces go into a dataset", repo, repo.Type)
	}
	if err != nil {
		return trace.Target{}, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	repo.Namespace = cmp.Or(repo.Namespace, who.Name)
	if !who.CanWriteRepo(repo) {
		return trace.Target{}, fmt.Errorf("%w: the token of %s may not write to %s", hub.ErrUnauthorized, who.Name, repo)
	}
	return trace.Target{Client: client, Repo: repo, Visibility: visibility, Narrow: narrow, Memory: filepath.Join(a.cfg.Paths.State, "uploads")}, nil
}

// warn says what a person should know before they say yes.
func (p *SharePlan) warn(who hub.Account, main session.Summary) {
	add := func(format string, args ...any) { p.Beware = append(p.Beware, fmt.Sprintf(format, args...)) }
	if p.Visibility == config.SharePublic {
		add("everyone will see it, for good: what is public is copied")
		if p.Now == trace.Private && p.Others > 0 {
			add("the dataset becomes public with the %d other traces in it", p.Others)
		}
	} else if p.Now == trace.Public {
		add("the dataset is public now and is made private first; who has copied it keeps it")
	}
	if owner, _, _ := strings.Cut(p.Repo, "/"); !strings.EqualFold(owner, who.Name) {
		p.owner = owner
	}
	if main.State == "unfinished" {
		add("the last turn is not over: what comes is not in it until you share again")
	}
	if p.Pictures > 0 {
		add("%d pictures are left out: nobody can look through them", p.Pictures)
	}
	add("a program looked for secrets, and no person: names, data and code stay as they are")
}

// Request is the plan as policies judge it and people are asked about it.
func (p *SharePlan) Request() approval.Request {
	args, _ := json.Marshal(map[string]string{"session": p.ID, "repo": p.Repo, "visibility": p.Visibility}) //nolint:errchkjson // texts
	return approval.Request{
		Call:   llm.ToolCall{ID: ShareTool, Name: ShareTool, Args: string(args)},
		Impact: tool.Impact{Effect: tool.Publishes, Public: p.Visibility == config.SharePublic, Object: p.Repo, Repo: p.Repo},
		Show:   p.Text(),
	}
}

// Send shares the session as it was planned, and remembers it. It can be done
// again after whatever went wrong: what is there is not sent twice.
func (p *SharePlan) Send(ctx context.Context) (trace.Sent, error) {
	sent, err := p.share.Send(ctx)
	if err != nil {
		return sent, fmt.Errorf("share session %s: %w", p.ID, p.notPublic(err))
	}
	return sent, p.remember(true, sent.Commit)
}

// Close removes what the plan has written.
func (p *SharePlan) Close() error { return errors.Join(p.lock.Close(), os.RemoveAll(p.dir)) }

// StopSharing has a session not be shared by itself any more, and says where it
// was shared, "" if it was not.
func (a *App) StopSharing(ctx context.Context, id string) (where string, err error) {
	if id, err = a.find(ctx, id); err != nil {
		return "", err
	}
	note, err := a.shareNote(id)
	if err != nil {
		return "", err
	}
	if len(note.Paths) > 0 {
		where = note.URL
	}
	note.Off = true
	return where, a.keepShareNote(id, note)
}

// An Unsharing is the traces of a session that would be taken out of a dataset.
type Unsharing struct {
	ID  string
	URL string

	app    *App
	client *hub.Client
	repo   hub.RepoID
	note   shareNote
}

// PlanUnshare finds out from where a session would be taken back. Without an
// account, or where nothing was shared from here, it fails.
func (a *App) PlanUnshare(ctx context.Context, id string) (*Unsharing, error) {
	id, err := a.find(ctx, id)
	if err != nil {
		return nil, err
	}
	note, err := a.shareNote(id)
	if err != nil {
		return nil, err
	}
	if len(note.Paths) == 0 {
		return nil, fmt.Errorf("session %s was not shared from this machine", id)
	}
	client, _, choice, err := a.shareHub(ctx)
	if err != nil {
		return nil, err
	}
	if choice != note.Hub {
		return nil, fmt.Errorf("%w: session %s was shared on the Hub %s, and this is %s: ml-intern sessions share %[2]s --delete --hub %[3]s", ErrUsage, id, note.Hub, choice)
	}
	repo, err := hub.ParseRepo(hub.Dataset, note.Repo)
	if err != nil {
		return nil, err
	}
	return &Unsharing{id, client.RepoURL(repo), a, client, repo, note}, nil
}

// Request is what policies judge and people are asked about.
func (u *Unsharing) Request() approval.Request {
	args, _ := json.Marshal(map[string]string{"session": u.ID, "repo": u.repo.String(), "visibility": config.ShareOff}) //nolint:errchkjson // texts
	return approval.Request{
		Call:   llm.ToolCall{ID: ShareTool, Name: ShareTool, Args: string(args)},
		Impact: tool.Impact{Effect: tool.Publishes, Deletes: true, Object: u.repo.String(), Repo: u.repo.String()},
		Show: fmt.Sprintf("session    %s\nfrom       %s\ndeleted    %s\nbeware     the history of the dataset keeps them: to take them back for good, delete the dataset\n",
			u.ID, u.URL, strings.Join(u.note.Paths, ", ")),
	}
}

// Do takes the traces out of the dataset.
func (u *Unsharing) Do(ctx context.Context) (trace.Sent, error) {
	sent, err := trace.Withdraw(ctx, u.client, u.repo, u.ID, u.note.Paths)
	if err != nil {
		return sent, fmt.Errorf("take session %s back: %w", u.ID, err)
	}
	return sent, u.app.keepShareNote(u.ID, shareNote{Off: true})
}

// Judge is what the policy says of something that a person asked for, in the
// configured mode.
func (a *App) Judge(req approval.Request) (approval.Decision, error) {
	p, err := policy(a.cfg, a.cfg.Approve)
	if err != nil {
		return approval.Decision{}, err
	}
	return p.Decide(req), nil
}

// ShareByItself shares a session that its person leaves, if their configuration
// says so and no rule is against it. It returns what to tell them, "" for
// nothing.
func (a *App) ShareByItself(ctx context.Context, id string) (string, error) {
	if !a.cfg.Share.Automatic {
		return "", nil
	}
	note, err := a.shareNote(id)
	if err != nil || note.Off {
		return "", err
	}
	p, err := a.PlanShare(ctx, id, ShareOptions{})
	if err != nil {
		return "", err
	}
	defer func() { _ = p.Close() }() // or the next share sweeps it
	if p.Unchanged {
		return "", nil
	}
	d, err := a.Judge(p.Request())
	if err == nil && (d.Verdict == approval.Deny || d.ByRule) {
		err = fmt.Errorf("not shared: %s", d.Reason)
	}
	if err != nil {
		return "", err
	}
	sent, err := p.Send(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("shared the session, as your configuration says: %s; %d secrets and paths were taken out of it", sent.URL, p.taken()), nil
}

func (p *SharePlan) taken() (n int) {
	for _, r := range p.Redacted {
		n += r.Count
	}
	return n
}
