package remote

import "strings"

// fdVariable names the descriptor from which a server that has started itself
// anew reads its secret.
const fdVariable = SecretVariable + "_FD"

// variable is the value of a variable of env, and env without it.
func variable(env []string, name string) (value string, rest []string) {
	for _, pair := range env {
		if v, found := strings.CutPrefix(pair, name+"="); found {
			value = v
			continue
		}
		rest = append(rest, pair)
	}
	return value, rest
}
