package confine

import "strings"

var proxyNames = []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}

// proxyEnviron tells programs of the proxy at an address. It is right after
// what a command had.
func proxyEnviron(address string) []string {
	var env []string
	for _, name := range proxyNames {
		value := "http://" + address
		if name == "NO_PROXY" {
			value = "localhost,127.0.0.1"
		}
		env = append(env, name+"="+value, strings.ToLower(name)+"="+value)
	}
	return env
}
