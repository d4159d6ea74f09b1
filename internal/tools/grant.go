package tools

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/egress"
	"ml-intern/internal/fetch"
	"ml-intern/internal/tool"
)

// Grant opens one path, one host or the GPUs to commands, for the rest of the
// session, once policy or a person has said yes to the tool.Grants.
func Grant(sb disk, hasGPU func() bool, open func(tool.Grants) error) tool.Tool {
	type input struct {
		Path string `json:"path,omitempty"`
		Host string `json:"host,omitempty"`
		GPU  bool   `json:"gpu,omitempty"`
		Why  string `json:"why"`
	}
	grants := func(in input) (g tool.Grants) {
		if in.Path != "" {
			abs, _ := sb.Resolve(in.Path)
			if real, err := filepath.EvalSymlinks(abs); err == nil {
				abs = real // what a person says yes to is no link that changes
			}
			g.Paths = []string{abs}
		}
		if in.Host != "" {
			g.Hosts = []string{strings.ToLower(strings.TrimSpace(in.Host))}
		}
		g.GPU = in.GPU
		return g
	}
	s := spec("grant", tool.Executes)
	s.Resumable = true
	s.Impact = impact(tool.Executes, func(in input, i *tool.Impact) {
		if i.Grants = grants(in); refusal(sb, i.Grants, hasGPU) != nil {
			i.Grants = tool.Grants{} // nobody need be asked about what is never opened
		}
		i.Object = shorten(in.Why, 200)
	})
	return tool.New(s, func(_ context.Context, in input, call tool.Call) (tool.Output, error) {
		g := grants(in)
		if err := refusal(sb, g, hasGPU); err != nil {
			return badArgs("%v", err), nil
		}
		if !slices.Equal(g.Names(), call.Granted.Names()) { // a link was changed since
			return badArgs("%s leads to %s now, which is not what was decided on", cmp.Or(in.Path, in.Host), strings.Join(g.Names(), " and ")), nil
		}
		if err := open(g); err != nil {
			return tool.Output{}, err
		}
		text := "commands may use " + strings.Join(g.Names(), " and ") + " from now on"
		return tool.Output{Text: text, Summary: text}, nil
	})
}

// refusal says why something is never opened, whoever says yes.
func refusal(sb disk, g tool.Grants, hasGPU func() bool) error {
	switch {
	case len(g.Names()) != 1:
		return fmt.Errorf("ask for one path, one host or gpu")
	case g.GPU && !hasGPU():
		return fmt.Errorf("this machine has no GPU that commands could be given (/dev/nvidia*, /dev/kfd, /dev/dri); job_hardware says where there is one")
	}
	for _, path := range g.Paths {
		if err := sb.MayOpen(path); err != nil {
			return err
		}
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			return fmt.Errorf("%s is no folder that exists", filepath.Clean(path))
		}
	}
	for _, host := range g.Hosts {
		if err := egress.CheckHost(host); err != nil || strings.HasPrefix(host, "*") {
			return fmt.Errorf("%s is not one host; name it as NAME or NAME:PORT", host)
		}
		if near(host) {
			return fmt.Errorf("%s is this machine or its network, which only the configuration opens (network.private)", host)
		}
	}
	return nil
}

// near reports whether a host, with a port or not, is written as an address of
// this machine or its network. What a name leads to, the proxy sees.
func near(host string) bool {
	if name, _, _ := strings.Cut(host, ":"); name == "localhost" {
		return true
	}
	if at, err := netip.ParseAddrPort(host); err == nil {
		return !fetch.Public(at.Addr())
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && !fetch.Public(ip)
}
