package confine

import (
	"slices"
	"strings"
)

var proxyNames = []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}

// withProxy tells programs of the proxy at an address, and of nothing else that
// they had as one.
func (r Rules) withProxy(env []string, address string) []string {
	kept := slices.DeleteFunc(env, func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(proxyNames, strings.ToUpper(name)) || slices.Contains(r.Address, name)
	})
	for _, name := range proxyNames {
		value := "http://" + address
		if name == "NO_PROXY" {
			value = "localhost,127.0.0.1"
		}
		kept = append(kept, name+"="+value, strings.ToLower(name)+"="+value)
	}
	for _, name := range r.Address {
		kept = append(kept, name+"=http://"+address)
	}
	return kept
}
