package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"ml-intern/internal/fetch"
)

// DefaultHosts are the hosts that work on models needs: package indexes, the Hub
// with its storage, and GitHub.
func DefaultHosts() []string {
	return []string{
		"pypi.org", "files.pythonhosted.org", "download.pytorch.org", "download-r2.pytorch.org", "pypi.nvidia.com", "wheels.vllm.ai",
		"conda.anaconda.org", "repo.anaconda.com", "repo.prefix.dev", "conda-mapping.prefix.dev", "micro.mamba.pm",
		"registry.npmjs.org", "registry.yarnpkg.com", "index.crates.io", "static.crates.io", "crates.io",
		"proxy.golang.org", "sum.golang.org", "cran.r-project.org", "cloud.r-project.org",
		"deb.debian.org", "security.debian.org", "archive.ubuntu.com", "security.ubuntu.com",
		"huggingface.co", "*.huggingface.co", "hf.co", "*.hf.co",
		"github.com", "api.github.com", "codeload.github.com", "raw.githubusercontent.com", "objects.githubusercontent.com",
		"release-assets.githubusercontent.com", "github-cloud.githubusercontent.com", "media.githubusercontent.com",
	}
}

// A target is where a request wants to go: a name in lower case or an address,
// and a port.
type target struct {
	host string
	port int
	ip   netip.Addr // valid if host is an address
}

func (t target) String() string {
	if t.ip.Is6() {
		return "[" + t.host + "]:" + strconv.Itoa(t.port)
	}
	return t.host + ":" + strconv.Itoa(t.port)
}

// parseTarget reads HOST:PORT, strictly: what different programs read
// differently is no target. Port 0 stands for none given, which is an error.
func parseTarget(authority string, usual int) (target, error) {
	host, port, err := splitPort(authority, usual)
	if err != nil {
		return target{}, err
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		if !closed || err != nil || !ip.Is6() || ip.Zone() != "" {
			return target{}, errHost
		}
		return target{ip.String(), port, ip}, nil
	}
	host = strings.ToLower(host)
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		return target{host, port, ip}, nil
	}
	if !isName(host) || fetch.LooksNumeric(host) {
		return target{}, errHost
	}
	return target{host: host, port: port}, nil
}

func splitPort(authority string, usual int) (host string, port int, err error) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.HasSuffix(authority, "]") {
		if usual == 0 {
			return "", 0, errPort
		}
		return authority, usual, nil
	}
	digits := authority[i+1:]
	port, err = strconv.Atoi(digits)
	if err != nil || port < 1 || port > 65535 || strconv.Itoa(port) != digits {
		return "", 0, errPort
	}
	return authority[:i], port, nil
}

var (
	errHost = errors.New("the host is no plain name or address")
	errPort = errors.New("the port is no plain number")
)

// isName reports whether s is a name of hosts: labels of letters, digits,
// dashes and underscores, with no dot at the end.
func isName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// CheckHost says what is wrong with an entry of the list of hosts, nil if it is
// NAME, *.SUFFIX or an address, perhaps with a port. A suffix has a dot in it:
// there is no entry for everything.
func CheckHost(entry string) error {
	_, err := parseRule(entry)
	return err
}

// A rule is one entry of a list of hosts.
type rule struct {
	target      // port 0 for the usual ones
	suffix bool // names below host, not host itself
}

func parseRule(entry string) (rule, error) {
	text, suffix := strings.CutPrefix(strings.TrimSpace(entry), "*.")
	anyPort := false
	if ip, err := netip.ParseAddr(text); err == nil && ip.Is6() {
		text = "[" + text + "]"
	}
	if i := strings.LastIndexByte(text, ':'); i < 0 || strings.HasSuffix(text, "]") {
		anyPort = true
	}
	t, err := parseTarget(text, 443)
	switch {
	case err != nil:
		return rule{}, fmt.Errorf("%q is no host: write a name such as pypi.org, or *.example.com for all below it, with :PORT for a port of its own", entry)
	case suffix && (t.ip.IsValid() || !strings.Contains(t.host, ".")):
		return rule{}, fmt.Errorf("%q is too wide: what stands behind *. needs a dot", entry)
	}
	if anyPort {
		t.port = 0
	}
	return rule{t, suffix}, nil
}

func (r rule) matches(t target) bool {
	if r.port != t.port && (r.port != 0 || t.port != 443 && t.port != 80) {
		return false
	}
	if r.suffix {
		return !t.ip.IsValid() && strings.HasSuffix(t.host, "."+r.host)
	}
	return r.host == t.host
}

// rules are the hosts that may be reached, and those that may not though they
// may.
type rules struct {
	mu          sync.RWMutex
	allow, deny []rule
}

func newRules(allow, deny []string) (*rules, error) {
	r := &rules{}
	for _, list := range []struct {
		entries []string
		to      *[]rule
	}{{allow, &r.allow}, {deny, &r.deny}} {
		for _, entry := range list.entries {
			rule, err := parseRule(entry)
			if err != nil {
				return nil, err
			}
			*list.to = append(*list.to, rule)
		}
	}
	return r, nil
}

// allows reports whether a target is on the list. A denied host is denied on
// all ports unless its entry names one.
func (r *rules) allows(t target) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	denied := slices.ContainsFunc(r.deny, func(d rule) bool {
		if d.port == 0 {
			d.port = t.port
		}
		return d.matches(t)
	})
	return !denied && slices.ContainsFunc(r.allow, func(a rule) bool { return a.matches(t) })
}

// Grant allows one more host while the proxy serves. What is denied stays so.
func (p *Proxy) Grant(entry string) error {
	if err := p.ready(); err != nil {
		return err
	}
	added, err := parseRule(entry)
	if err != nil {
		return fmt.Errorf("grant a host: %w", err)
	}
	p.rules.mu.Lock()
	defer p.rules.mu.Unlock()
	p.rules.allow = append(p.rules.allow, added)
	return nil
}
