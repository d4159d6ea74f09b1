package hub_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
)

// What is sent to start a job is what the official client sends.
func TestJobSpec(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec hub.JobSpec
		want string
	}{
		"least": {
			hub.JobSpec{Image: "python:3.12", Command: []string{"true"}},
			`{"arguments":[],"command":["true"],"dockerImage":"python:3.12","environment":{},"flavor":"cpu-basic"}`,
		},
		"a Space": {
			hub.JobSpec{Image: "hf.co/spaces/me/app", Flavor: "t4-small"},
			`{"arguments":[],"command":[],"environment":{},"flavor":"t4-small","spaceId":"me/app"}`,
		},
		"all": {
			hub.JobSpec{
				Image: "x", Command: []string{"a"}, Args: []string{"b"}, Env: map[string]string{"E": "1"}, Secrets: map[string]string{"S": "2"},
				Flavor: "l4x1", Timeout: 90*time.Second + 1, Attempts: 2, Arch: "arm64", Labels: map[string]string{"name": "n"},
				Volumes: []hub.Volume{{Type: "dataset", Source: "me/d", MountPath: "/d"}}, Ports: []int{8000},
			},
			`{"arch":"arm64","arguments":["b"],"attempts":2,"command":["a"],"dockerImage":"x","environment":{"E":"1"},"expose":{"ports":[8000]},` +
				`"flavor":"l4x1","labels":{"name":"n"},"secrets":{"S":"2"},"timeoutSeconds":91,` +
				`"volumes":[{"type":"dataset","source":"me/d","mountPath":"/d"}]}`,
		},
	} {
		got, err := json.Marshal(c.spec)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
}

// A job that was asked for may have been started even if the answer is lost:
// it is not asked for again.
func TestRunJobOnce(t *testing.T) {
	t.Parallel()
	var asked []string
	answers := map[string]func(w http.ResponseWriter){
		"ok": func(w http.ResponseWriter) {
			io.WriteString(w, `{"id":"j1","status":{"stage":"SCHEDULING","message":null}}`)
		},
		"lost": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"poor": func(w http.ResponseWriter) { w.WriteHeader(http.StatusPaymentRequired) },
		"sick": func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
	}
	c := hubtest.Direct(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		answers[strings.TrimPrefix(r.URL.Path, "/api/jobs/")](w)
	}))
	for namespace, check := range map[string]func(hub.Job, error) bool{
		"ok": func(j hub.Job, err error) bool {
			return err == nil && j.ID == "j1" && j.Status.Stage == hub.JobScheduling
		},
		"lost": func(_ hub.Job, err error) bool { return err != nil },
		"poor": func(_ hub.Job, err error) bool { return errors.Is(err, hub.ErrPaymentRequired) },
		"sick": func(_ hub.Job, err error) bool { return err != nil },
	} {
		asked = nil
		j, err := c.RunJob(t.Context(), namespace, hub.JobSpec{Image: "x"})
		if !check(j, err) || !slices.Equal(asked, []string{"POST /api/jobs/" + namespace}) {
			t.Errorf("%s: RunJob = %+v, %v after %q", namespace, j, err, asked)
		}
	}
}
