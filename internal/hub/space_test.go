package hub_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

var app = hub.RepoID{Type: hub.Space, Namespace: "me", Name: "app"}

// direct serves a Hub without a network, for a test in which time is not real.
func direct(t *testing.T, opts hubserver.Options) *hub.Client {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	s, err := hubserver.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return hubtest.Direct(s)
}

func newSpace(t *testing.T, c *hub.Client, spec hub.SpaceSpec, files ...hub.File) {
	t.Helper()
	spec.Repo = app
	url, err := c.CreateSpace(t.Context(), spec)
	if err != nil || url != c.RepoURL(app) {
		t.Fatalf("CreateSpace = %q, %v", url, err)
	}
	if len(files) > 0 {
		if _, err := c.Upload(t.Context(), app, hub.Commit{Files: files}); err != nil {
			t.Fatal(err)
		}
	}
}

func stageOf(t *testing.T, c *hub.Client) hub.Runtime {
	t.Helper()
	now, err := c.SpaceRuntime(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// A Space is built, runs, sleeps, and is paused and started again.
func TestSpaceLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := direct(t, hubserver.Options{})
		ctx := t.Context()
		newSpace(t, c, hub.SpaceSpec{SDK: "docker", Private: true, Sleep: time.Hour}, textFile("Dockerfile", "FROM x"))
		if now := stageOf(t, c); now.Stage != hub.Building || now.Hardware != "" || now.Requested != "cpu-basic" || now.Sleep != time.Hour {
			t.Errorf("a new Space is %+v", now)
		}
		var seen []hub.Stage
		now, err := c.WaitSpace(ctx, app, func(r hub.Runtime) { seen = append(seen, r.Stage) })
		if err != nil || now.Stage != hub.Running || now.Hardware != "cpu-basic" || now.SHA == "" || !slices.Contains(seen, hub.Building) {
			t.Fatalf("WaitSpace = %+v, %v after %v", now, err, seen)
		}
		time.Sleep(59 * time.Minute)
		if now := stageOf(t, c); now.Stage != hub.Running {
			t.Errorf("after less than the sleep time it is %+v", now)
		}
		time.Sleep(2 * time.Minute)
		if now := stageOf(t, c); now.Stage != hub.Sleeping || now.Hardware != "" {
			t.Errorf("after the sleep time it is %+v", now)
		}
		if now, err := c.RestartSpace(ctx, app, false); err != nil || now.Stage != hub.AppStarting {
			t.Errorf("RestartSpace = %+v, %v", now, err)
		}
		if _, err := c.WaitSpace(ctx, app, nil); err != nil {
			t.Error(err)
		}
		if now, err := c.PauseSpace(ctx, app); err != nil || now.Stage != hub.Paused {
			t.Errorf("PauseSpace = %+v, %v", now, err)
		}
		if err := c.SetVariable(ctx, app, hub.Setting{Key: "A", Value: "1"}); err != nil {
			t.Error(err)
		}
		if now := stageOf(t, c); now.Stage != hub.Paused {
			t.Errorf("a variable woke a paused Space: %+v", now)
		}
		if now, err := c.RestartSpace(ctx, app, true); err != nil || now.Stage != hub.Building {
			t.Errorf("RestartSpace from scratch = %+v, %v", now, err)
		}
		if now, err := c.SetSleepTime(ctx, app, -1); err != nil || now.Sleep != 0 {
			t.Errorf("SetSleepTime = %+v, %v", now, err)
		}
		time.Sleep(1000 * time.Hour)
		if now := stageOf(t, c); now.Stage != hub.Running {
			t.Errorf("a Space that never sleeps is %+v", now)
		}
	})
}

func textFile(path, text string) hub.File { return hub.File{Path: path, Content: []byte(text)} }

// A Space that cannot run is an error that says why.
func TestSpaceThatCannotRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files []hub.File
		stage hub.Stage
		why   string
	}{
		"no program":  {nil, hub.NoAppFile, "there is no app.py"},
		"own program": {[]hub.File{textFile("README.md", "---\nsdk: gradio\napp_file: run.py\n---\n"), textFile("app.py", "")}, hub.NoAppFile, "there is no run.py"},
		"a folder":    {[]hub.File{textFile("app.py/x", "")}, hub.NoAppFile, "there is no app.py"},
		"no card":     {[]hub.File{textFile("README.md", "hello"), textFile("app.py", "")}, hub.ConfigError, "Missing configuration"},
		"no sdk":      {[]hub.File{textFile("README.md", "---\ntitle: x\n---\n"), textFile("app.py", "")}, hub.ConfigError, "Missing sdk"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := direct(t, hubserver.Options{})
				newSpace(t, client, hub.SpaceSpec{SDK: "gradio"}, c.files...)
				_, err := client.WaitSpace(t.Context(), app, nil)
				failed, ok := errors.AsType[*hub.SpaceError](err)
				if !ok || failed.Runtime.Stage != c.stage || !strings.Contains(err.Error(), c.why) {
					t.Errorf("WaitSpace: %v; want %s, %s", err, c.stage, c.why)
				}
			})
		})
	}
}

func TestSpaceSettings(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	c, ctx := h.Client, t.Context()
	newSpace(t, c, hub.SpaceSpec{
		SDK: "gradio", Secrets: []hub.Setting{{Key: "TOKEN", Value: "s3cret"}}, Variables: []hub.Setting{{Key: "MODE", Value: "fast", Description: "how"}},
		Volumes: []hub.Volume{{Type: "dataset", Source: "me/d", MountPath: "/data"}},
	})
	if err := c.SetSecret(ctx, app, hub.Setting{Key: "KEY", Value: "other", Description: "why"}); err != nil {
		t.Fatal(err)
	}
	secrets, err := c.Secrets(ctx, app)
	if err != nil || len(secrets) != 2 || secrets[0].Key != "KEY" || secrets[0].Description != "why" || secrets[0].Updated.IsZero() || secrets[0].Value+secrets[1].Value != "" {
		t.Errorf("Secrets = %+v, %v", secrets, err)
	}
	variables, err := c.Variables(ctx, app)
	if err != nil || len(variables) != 1 || variables[0].Value != "fast" || variables[0].Description != "how" {
		t.Errorf("Variables = %+v, %v", variables, err)
	}
	for range 2 { // the second time there is nothing to delete
		if err := errors.Join(c.DeleteSecret(ctx, app, "KEY"), c.DeleteVariable(ctx, app, "MODE")); err != nil {
			t.Error(err)
		}
	}
	secrets, err = c.Secrets(ctx, app)
	variables, err2 := c.Variables(ctx, app)
	if err != nil || err2 != nil || len(secrets) != 1 || len(variables) != 0 {
		t.Errorf("after deletion: %+v, %+v, %v, %v", secrets, variables, err, err2)
	}
	if now := stageOf(t, c); len(now.Volumes) != 1 || now.Volumes[0].ReadOnly == nil || !*now.Volumes[0].ReadOnly {
		t.Errorf("the volumes are %+v", now.Volumes)
	}
	if err := c.SetVolumes(ctx, app, nil); err != nil || len(stageOf(t, c).Volumes) != 0 {
		t.Errorf("the volumes are there still: %v", err)
	}
	if _, err := c.RequestHardware(ctx, app, "t4-small", 0); !errors.Is(err, hub.ErrPaymentRequired) {
		t.Errorf("hardware that costs: %v", err)
	}
	for _, name := range []hub.RepoID{app, {Name: app.Name}} {
		if url, err := c.CreateSpace(ctx, hub.SpaceSpec{Repo: name, SDK: "gradio", ExistOK: true}); err != nil || url != c.RepoURL(app) {
			t.Errorf("a Space that is there: %s, %v", url, err)
		}
	}
	if _, err := c.CreateSpace(ctx, hub.SpaceSpec{Repo: app, SDK: "gradio"}); !errors.Is(err, hub.ErrConflict) {
		t.Errorf("a Space that is there: %v", err)
	}
	if all, err := c.SpaceHardware(ctx); err != nil || len(all) < 10 || all[0].Name != "cpu-basic" {
		t.Errorf("SpaceHardware = %+v, %v", all, err)
	}
}

func TestPaidHardware(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		c := direct(t, hubserver.Options{Dir: dir, PaidHardware: true})
		newSpace(t, c, hub.SpaceSpec{SDK: "gradio", Hardware: "l4x1"}, textFile("app.py", ""))
		now, err := c.WaitSpace(t.Context(), app, nil)
		if err != nil || now.Hardware != "l4x1" || now.Sleep != 0 {
			t.Errorf("WaitSpace = %+v, %v", now, err)
		}
		now, err = c.RequestHardware(t.Context(), app, "a10g-small", 10*time.Minute)
		if err != nil || now.Requested != "a10g-small" || now.Sleep != 10*time.Minute {
			t.Errorf("RequestHardware = %+v, %v", now, err)
		}
		c = direct(t, hubserver.Options{Dir: dir}) // the money is gone
		if now := stageOf(t, c); now.Stage != hub.Stopped || now.Hardware != "" || now.Error == "" {
			t.Errorf("a Space that cannot be paid is %+v", now)
		}
		if now, err := c.RequestHardware(t.Context(), app, "cpu-basic", 0); err != nil || now.Stage != hub.AppStarting {
			t.Errorf("RequestHardware = %+v, %v", now, err)
		}
	})
}

// The Hub writes more than is known here, and writes some of it differently.
func TestRuntimeIsReadTolerantly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const text = `{"stage":"RUNNING_DREAMING","hardware":{"current":null,"requested":null},"gcTimeout":null,"storage":null,` +
			`"replicas":{"current":1,"requested":"auto"},"domains":[{"domain":"me-app.hf.space","stage":"READY"}],"new":{"a":[1]}}`
		c := hubtest.Direct(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }))
		now, err := c.SpaceRuntime(t.Context(), app)
		if err != nil || now.Stage != "RUNNING_DREAMING" || !slices.Equal(now.Domains, []string{"me-app.hf.space"}) || now.Sleep != 0 {
			t.Errorf("SpaceRuntime = %+v, %v", now, err)
		}
	})
}

// The log of a Space goes on over restarts, and the connection stays open.
func TestSpaceLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := direct(t, hubserver.Options{})
		newSpace(t, c, hub.SpaceSpec{SDK: "docker"}, textFile("Dockerfile", ""))
		build, err := logText(c.SpaceLogs(t.Context(), app, true, hub.LogOptions{}))
		if err != nil || len(build) == 0 || !strings.Contains(build[0], "Build Queued") {
			t.Errorf("the build's log is %q, %v", build, err)
		}
		starts := 0
		began := time.Now()
		for line, err := range c.SpaceLogs(t.Context(), app, false, hub.LogOptions{Follow: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(line.Text, "Application Startup") {
				continue
			}
			if starts++; starts == 3 {
				break
			}
			time.Sleep(5 * time.Minute) // nothing is printed meanwhile
			if _, err := c.RestartSpace(t.Context(), app, false); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); starts != 3 || took > 11*time.Minute {
			t.Errorf("%d starts in %s", starts, took)
		}
	})
}
