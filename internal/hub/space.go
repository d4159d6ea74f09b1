package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"time"
)

// A Stage is where a Space is in its life. The Hub may have others.
type Stage string

// The stages of a Space.
const (
	NoAppFile          Stage = "NO_APP_FILE"
	ConfigError        Stage = "CONFIG_ERROR"
	Building           Stage = "BUILDING"
	BuildError         Stage = "BUILD_ERROR"
	AppStarting        Stage = "APP_STARTING"
	Running            Stage = "RUNNING"
	RunningBuilding    Stage = "RUNNING_BUILDING"
	RunningAppStarting Stage = "RUNNING_APP_STARTING"
	RuntimeError       Stage = "RUNTIME_ERROR"
	Deleting           Stage = "DELETING"
	Stopped            Stage = "STOPPED"
	Paused             Stage = "PAUSED"
	Sleeping           Stage = "SLEEPING"
)

// pending are the stages that pass by themselves.
var pendingStages = []Stage{Building, AppStarting, RunningBuilding, RunningAppStarting}

// A Runtime is what a Space runs on, and how that goes.
type Runtime struct {
	Stage     Stage
	Hardware  string        // "" while nothing runs
	Requested string        // the hardware that was asked for
	Sleep     time.Duration // without visitors, until it sleeps; 0 for never
	SHA       string        // the commit that runs, if the Hub says so
	Error     string        // why it does not run
	DevMode   bool
	Domains   []string // where it can be reached
	Volumes   []Volume
}

// A Volume is a repository or a bucket as a folder of a Space or a job.
type Volume struct {
	Type      string `json:"type"` // bucket, model, dataset or space
	Source    string `json:"source"`
	MountPath string `json:"mountPath"`
	Revision  string `json:"revision,omitempty"`
	ReadOnly  *bool  `json:"readOnly,omitempty"`
	Path      string `json:"path,omitempty"`
}

// UnmarshalJSON reads what the Hub says of a Space's runtime.
func (r *Runtime) UnmarshalJSON(data []byte) error {
	var raw struct {
		Stage    Stage `json:"stage"`
		Hardware struct {
			Current   string `json:"current"`
			Requested string `json:"requested"`
		} `json:"hardware"`
		Timeout float64 `json:"gcTimeout"`
		SHA     string  `json:"sha"`
		Error   string  `json:"errorMessage"`
		DevMode bool    `json:"devMode"`
		Domains []struct {
			Domain string `json:"domain"`
		} `json:"domains"`
		Volumes []Volume `json:"volumes"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*r = Runtime{
		Stage: raw.Stage, Hardware: raw.Hardware.Current, Requested: raw.Hardware.Requested, SHA: raw.SHA,
		Error: raw.Error, DevMode: raw.DevMode, Volumes: raw.Volumes,
	}
	if raw.Timeout > 0 {
		r.Sleep = time.Duration(raw.Timeout * float64(time.Second))
	}
	for _, d := range raw.Domains {
		r.Domains = append(r.Domains, d.Domain)
	}
	return nil
}

// A Setting is a secret or a variable of a Space. The Hub tells the value of a
// variable, never that of a secret.
type Setting struct {
	Key         string    `json:"key"`
	Value       string    `json:"value"`
	Description string    `json:"description,omitempty"`
	Updated     time.Time `json:"-"`
}

// A SpaceSpec says how a Space is made.
type SpaceSpec struct {
	Repo      RepoID
	SDK       string // gradio, docker or static
	Private   bool
	ExistOK   bool          // a Space that is there already is not an error, and is left as it is
	Hardware  string        // the free one if ""
	Sleep     time.Duration // 0 for the Hub's default, below 0 for never
	Secrets   []Setting
	Variables []Setting
	Volumes   []Volume
}

// CreateSpace makes a Space with all it needs to start, and returns the
// address of its page.
func (c *Client) CreateSpace(ctx context.Context, spec SpaceSpec) (string, error) {
	in := struct {
		Name       string    `json:"name"`
		Owner      string    `json:"organization,omitempty"`
		Type       RepoType  `json:"type"`
		Visibility string    `json:"visibility"`
		SDK        string    `json:"sdk"`
		Hardware   string    `json:"hardware,omitempty"`
		Sleep      int       `json:"sleepTimeSeconds,omitempty"`
		Secrets    []Setting `json:"secrets,omitempty"`
		Variables  []Setting `json:"variables,omitempty"`
		Volumes    []Volume  `json:"volumes,omitempty"`
	}{
		spec.Repo.Name, spec.Repo.Namespace, Space, "public", cmp.Or(spec.SDK, "docker"), spec.Hardware,
		sleepSeconds(spec.Sleep), spec.Secrets, spec.Variables, spec.Volumes,
	}
	if spec.Private {
		in.Visibility = "private"
	}
	var out struct {
		URL string `json:"url"`
	}
	_, err := c.api(ctx, call{method: "POST", path: "/api/repos/create", once: !spec.ExistOK}, in, &out)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusConflict && spec.ExistOK {
		there := spaceID(spec.Repo)
		if there.Namespace == "" {
			var who Account
			who, err = c.WhoAmI(ctx)
			there.Namespace = who.Name
		} else {
			err = nil
		}
		out.URL = c.RepoURL(there)
	}
	if err != nil {
		return "", fmt.Errorf("create Space %s: %w", spec.Repo, err)
	}
	return out.URL, nil
}

func spaceID(repo RepoID) RepoID {
	repo.Type = Space
	return repo
}

func sleepSeconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int(d / time.Second)
}

// spaceCall does something with a Space, and returns what became of it.
func (c *Client) spaceCall(ctx context.Context, do string, repo RepoID, cl call, in any) (Runtime, error) {
	var out Runtime
	cl.path = spaceID(repo).api() + cl.path
	if _, err := c.api(ctx, cl, in, &out); err != nil {
		return Runtime{}, fmt.Errorf("%s Space %s: %w", do, repo, err)
	}
	return out, nil
}

// SpaceRuntime tells how a Space is.
func (c *Client) SpaceRuntime(ctx context.Context, repo RepoID) (Runtime, error) {
	return c.spaceCall(ctx, "look at", repo, call{method: "GET", path: "/runtime"}, nil)
}

// RequestHardware moves a Space to other hardware. It is ErrPaymentRequired if
// the account cannot pay for it. A sleep of 0 leaves that as it is.
func (c *Client) RequestHardware(ctx context.Context, repo RepoID, flavor string, sleep time.Duration) (Runtime, error) {
	in := struct {
		Flavor string `json:"flavor"`
		Sleep  int    `json:"sleepTimeSeconds,omitempty"`
	}{flavor, sleepSeconds(sleep)}
	return c.spaceCall(ctx, "set the hardware of", repo, call{method: "POST", path: "/hardware"}, in)
}

// SetSleepTime sets after how long without visitors a Space sleeps; below 0 it
// never does.
func (c *Client) SetSleepTime(ctx context.Context, repo RepoID, sleep time.Duration) (Runtime, error) {
	in := map[string]int{"seconds": sleepSeconds(sleep)}
	return c.spaceCall(ctx, "set the sleep time of", repo, call{method: "POST", path: "/sleeptime"}, in)
}

// PauseSpace stops a Space, and what it costs, until RestartSpace.
func (c *Client) PauseSpace(ctx context.Context, repo RepoID) (Runtime, error) {
	return c.spaceCall(ctx, "pause", repo, call{method: "POST", path: "/pause"}, nil)
}

// RestartSpace starts a Space anew; with factory it is built anew, too.
func (c *Client) RestartSpace(ctx context.Context, repo RepoID, factory bool) (Runtime, error) {
	path := "/restart"
	if factory {
		path += "?factory=true"
	}
	return c.spaceCall(ctx, "restart", repo, call{method: "POST", path: path, once: true}, nil)
}

// SetVolumes replaces the volumes of a Space.
func (c *Client) SetVolumes(ctx context.Context, repo RepoID, volumes []Volume) error {
	cl := call{method: "PUT", path: spaceID(repo).api() + "/volumes"}
	var in any = map[string]any{"volumes": volumes}
	if len(volumes) == 0 {
		cl.method, in = "DELETE", nil
	}
	if _, err := c.api(ctx, cl, in, nil); err != nil {
		return fmt.Errorf("set the volumes of Space %s: %w", repo, err)
	}
	return nil
}

// SpaceLogs reads what a Space prints, or what its build printed. With Follow
// it ends only with ctx or when the caller has enough.
func (c *Client) SpaceLogs(ctx context.Context, repo RepoID, build bool, opts LogOptions) iter.Seq2[LogLine, error] {
	path := spaceID(repo).api() + "/logs/run"
	if build {
		path = spaceID(repo).api() + "/logs/build"
	}
	opts.Tail = 0 // a Space's log has none
	return wrapped(func() *logReader { return &logReader{client: c, path: path, opts: opts} }, ctx, "read the log of Space "+repo.String())
}

// wrapped says at an error what was being done. Each use reads from the start.
func wrapped(open func() *logReader, ctx context.Context, doing string) iter.Seq2[LogLine, error] {
	return func(yield func(LogLine, error) bool) {
		for line, err := range open().lines(ctx) {
			if err != nil {
				err = fmt.Errorf("%s: %w", doing, err)
			}
			if !yield(line, err) {
				return
			}
		}
	}
}

// A SpaceError says that a Space does not run and will not by itself.
type SpaceError struct {
	Space   RepoID
	Runtime Runtime
}

func (e *SpaceError) Error() string {
	text := fmt.Sprintf("Space %s is %s", e.Space, e.Runtime.Stage)
	if e.Runtime.Error != "" {
		text += ": " + e.Runtime.Error
	}
	return text
}

const (
	firstLook   = 500 * time.Millisecond
	slowestLook = 10 * time.Second
	graceLooks  = 3 // so often a Space may be seen at a stand, as it is right after a commit
)

// WaitSpace returns when a Space runs. One that cannot is a SpaceError. Report
// is told of each stage, unless it is nil.
func (c *Client) WaitSpace(ctx context.Context, repo RepoID, report func(Runtime)) (Runtime, error) {
	var last Stage
	stands := 0
	for wait := firstLook; ; wait = min(wait*3/2, slowestLook) {
		now, err := c.SpaceRuntime(ctx, repo)
		if err != nil {
			return Runtime{}, err
		}
		if report != nil && now.Stage != last {
			report(now)
		}
		last = now.Stage
		switch {
		case now.Stage == Running:
			return now, nil
		case slices.Contains(pendingStages, now.Stage):
			stands = 0
		default:
			if stands++; stands >= graceLooks {
				return now, fmt.Errorf("wait for it to run: %w", &SpaceError{spaceID(repo), now})
			}
		}
		if err := sleep(ctx, wait); err != nil {
			return now, fmt.Errorf("wait for Space %s to run: %w", repo, err)
		}
	}
}
