package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/config"
)

const ownComputes = `compute: cluster
computes:
  cluster:
    type: slurm
    host: login.cluster
    partitions: [gpu, long]
    time_limit: 12h
    usd_per_hour: {gpu: 2.5}
    gpu_memory_mb: {a100: 81920}
  ray: {type: ray, url: "http://ray.example:8265", token: RAY_OF_MINE, shared: true}
  box: {type: ssh, host: box, dir: ~/jobs}
  team: {type: hf, namespace: my-org}
`

func TestComputes(t *testing.T) {
	t.Parallel()
	c, err := load(t, ownComputes, "", "", "RAY_OF_MINE=ray-secret-value")
	if err != nil {
		t.Fatal(err)
	}
	p := c.Computes["cluster"]
	if c.Compute != "cluster" || p.Host != "login.cluster" || p.TimeLimit != 12*time.Hour || p.USDPerHour["gpu"] != 2.5 || p.GPUMemory["a100"] != 81920 || !slices.Equal(p.Partitions, []string{"gpu", "long"}) {
		t.Errorf("%s, %+v", c.Compute, p)
	}
	if !c.Computes["ray"].Shared || c.Computes["team"].Namespace != "my-org" || c.Computes["box"].Host != "box" || c.Computes["box"].Dir != "jobs" {
		t.Errorf("%+v", c.Computes)
	}
	if !slices.Contains(c.Secrets(), "ray-secret-value") {
		t.Error("a token in a variable of any name is no secret")
	}
	for _, v := range c.Values() {
		if v.Key == "computes" && (!strings.Contains(v.Value, `"time_limit":"12h0m0s"`) || strings.Contains(v.Value, "secret-value")) {
			t.Errorf("shown as %s", v.Value)
		}
	}
}

func TestSetupIsForAnotherShell(t *testing.T) {
	t.Parallel()
	c, err := load(t, "computes:\n  x:\n    type: slurm\n    host: ${WHERE}\n    setup: |\n      cd ${SCRATCH:-/tmp}\n      . ${HOME}/env\n", "", "", "WHERE=login", "HOME=/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Computes["x"]; p.Host != "login" || p.Setup != "cd ${SCRATCH:-/tmp}\n. ${HOME}/env\n" {
		t.Errorf("%+v", p)
	}
}

func TestBadComputes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"local: {type: slurm}":                          "local is this machine",
		"Big: {type: slurm}":                            "lower-case letters",
		"x: {type: kubernetes}":                         "one of hf, ray, slurm, ssh",
		"x: {type: hf, host: y}":                        `no key "host"; its keys are namespace, image`,
		"x: {type: hf, hots: y}":                        `no key "hots"`,
		"x: {type: ssh}":                                "needs a host",
		"x: {type: ssh, host: -oProxyCommand=sh}":       "no host",
		"x: {type: ray, url: nowhere}":                  "needs an address",
		"x: {type: ray, url: 'http://u:p@ray'}":         "without a password",
		"x: {type: ray, token: hunter2}":                "names the variable",
		"x: {type: slurm, usd_per_hour: {gpu: -1}}":     "from 0",
		"x: {type: slurm, usd_per_hour: {gpu: many}}":   "must be a number",
		"x: {type: ssh, host: y, usd_per_hour: {a: 1}}": `takes "*" alone`,
		"x: {type: slurm, gpu_memory_mb: {a100: 0}}":    "more than 0",
		"x: {type: slurm, time_limit: -1h}":             "cannot be negative",
		"x: {type: slurm, partitions: gpu}":             "must be a list",
		"x: {type: slurm, dir: shared/me}":              "a whole path",
		"x: {type: slurm, dir: ~/jobs}":                 "without ~",
		"x: {type: ssh, host: y, dir: ~me/jobs}":        "without ~",
		`x: {type: ssh, host: y, dir: "it's"}`:          "without ~ and '",
		"x: slurm":                                      "expected keys with values",
	} {
		_, err := load(t, "computes:\n  "+text+"\n", "", "")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "config.yaml:2") {
			t.Errorf("%s: got %v, want %q in line 2", text, err, want)
		}
	}
	for _, text := range []string{"compute: hf\n", ownComputes} {
		c, err := load(t, "", text, "")
		if err != nil || c.Compute != config.LocalCompute || len(c.Computes) > 0 || !strings.Contains(strings.Join(c.Notes(), "\n"), "may not set compute") {
			t.Errorf("a project's file set %q: %v", text, err)
		}
	}
	if !strings.Contains(string(must(config.Schema())), `"computes"`) {
		t.Error("the schema lacks computes")
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}
