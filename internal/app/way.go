package app

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"ml-intern/internal/config"
	"ml-intern/internal/job"
	"ml-intern/internal/job/local"
)

// openings are what jobs may reach beside what all may: hosts that a person has
// granted, and the port of the Hub that this process serves.
type openings struct {
	mu    sync.Mutex
	hosts []string
	port  int
}

func (o *openings) add(host string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hosts = append(o.hosts, host)
}

func (o *openings) serves(at net.Addr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if tcp, ok := at.(*net.TCPAddr); ok {
		o.port = tcp.Port
	}
}

func (o *openings) list() (hosts []string, port int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.hosts), o.port
}

// jobWay is what confined jobs of this machine may reach: what commands may, with
// what the person granted, the Hub that is chosen, and where a job's own secrets
// and dashboard belong. Nil says that nobody looks, or that they reach nothing.
func jobWay(cfg *config.Config, granted *openings) func(job.Spec) *local.Way {
	if cfg.Network.Jobs == config.JobsAll || cfg.Network.Jobs == config.JobsOff {
		return nil
	}
	return func(spec job.Spec) *local.Way {
		w := &local.Way{
			Deny:   cfg.Network.Deny,
			Advice: "ask the person for this one host with the tool grant and submit the job again; network.allow in config.yaml opens it for good",
		}
		w.Allow, w.Private = reachable(cfg)
		hosts, port := granted.list()
		w.Allow = slices.Concat(w.Allow, hosts, hostsOf(spec))
		leadToHub(cfg, spec, w)
		if port > 0 && !slices.Contains(w.Bridges, port) {
			w.Bridges = append(w.Bridges, port)
		}
		return w
	}
}

// hostsOf are the hosts that what a job was given is for: a person has seen it.
func hostsOf(spec job.Spec) []string {
	var all []string
	if slices.Contains(spec.Secrets, "WANDB_API_KEY") {
		all = append(all, "api.wandb.ai", "*.wandb.ai")
	}
	if space := spec.Env["TRACKIO_SPACE_ID"]; strings.Count(space, "/") == 1 && slices.Contains(spec.Secrets, "HF_TOKEN") {
		all = append(all, spaceHost(space))
	}
	return all
}

// spaceHost is where a Space of the public Hub answers.
func spaceHost(space string) string {
	return strings.ToLower(strings.NewReplacer("/", "-", ".", "-", "_", "-").Replace(space)) + ".hf.space"
}

// leadToHub lets a job reach the chosen Hub. One of this machine's loopback that
// asks for no token is its person's own, and is reached at the same address. Of
// any other, jobs without a token of their own may read, by a token that they never
// see; who has one goes there with it.
func leadToHub(cfg *config.Config, spec job.Spec, w *local.Way) {
	choice := (&App{cfg: cfg}).hubChoice()
	if choice == LocalHub {
		choice = "http://" + DefaultHubAddr
	}
	u, err := url.Parse(choice)
	if err != nil || u.Hostname() == "" {
		return
	}
	port, _ := strconv.Atoi(u.Port())
	here := (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost") && port > 0
	own := slices.Contains(spec.Secrets, "HF_TOKEN") || spec.Env[endpoint] != ""
	switch {
	case here && (own || !hasToken(cfg)):
		w.Bridges = []int{port}
	case own:
		w.Allow, w.Private = append(w.Allow, u.Host), append(w.Private, u.Hostname())
	case !offline(cfg):
		w.Hub = choice
	}
}

func hasToken(cfg *config.Config) bool {
	_, token := hubToken(cfg)()
	return token != ""
}

// hubToken finds the token for the Hub that a job's proxy asks for it.
func hubToken(cfg *config.Config) func() (hub, token string) {
	return func() (hub, token string) {
		choice := (&App{cfg: cfg}).hubChoice()
		if choice == LocalHub {
			return "", ""
		}
		return choice, keyring(cfg, choice).Local()
	}
}
