package ssh

import (
	"fmt"
	"strings"
)

// A trouble is why the machine cannot be reached, in a sentence that says what
// to do.
type trouble struct {
	text    string
	passing bool // it may work at once if it is tried again
}

func (t *trouble) Error() string { return t.text }

// troubles are what ssh says, the first that fits counts. %s is the machine.
var troubles = []struct {
	said    string
	text    string
	passing bool
}{
	{"REMOTE HOST IDENTIFICATION HAS CHANGED", "the host key of %[1]s has changed: if the machine was set up anew, remove the old key " +
		"with `ssh-keygen -R HOSTNAME` and log in once by hand; if not, somebody may be in between", false},
	{"Host key verification failed", "the host key of %[1]s is not known here: log in once by hand with `ssh %[1]s` and compare its fingerprint", false},
	{"Too many authentication failures", "%[1]s refuses the login, too many keys were tried: name one with IdentityFile and IdentitiesOnly in ~/.ssh/config", false},
	{"Permission denied", "%[1]s refuses the login: make `ssh %[1]s` work without a password, with a key in ssh-agent or ~/.ssh/config", false},
	{"Could not resolve hostname", "the name of %[1]s leads nowhere: look at HostName in ~/.ssh/config, and at the network", false},
	{"No route to host", "there is no way to %[1]s: is it on, and is the VPN or jump host up?", false},
	{"Network is unreachable", "there is no way to %[1]s: is the network up?", false},
	{"Connection refused", "%[1]s takes no ssh connections: is it on, does sshd run there, and is the port right?", false},
	{"timed out", "%[1]s does not answer: is it on, and is the VPN or jump host up?", true},
	{"not responding", "the connection to %[1]s was lost; what runs there goes on", true},
	{"Connection closed", "the connection to %[1]s was lost; what runs there goes on", true},
	{"Connection reset", "the connection to %[1]s was lost; what runs there goes on", true},
	{"Broken pipe", "the connection to %[1]s was lost; what runs there goes on", true},
	{"closed by remote host", "the connection to %[1]s was lost; what runs there goes on", true},
	{"Bad owner or permissions", "ssh refuses its configuration: only you may be able to write ~/.ssh/config", false},
	{"Bad configuration option", "ssh does not understand its configuration", false},
}

// explain makes what ssh said a trouble.
func explain(host, said string) error {
	for _, t := range troubles {
		if strings.Contains(said, t.said) {
			text := t.text
			if strings.Contains(text, "%[1]s") {
				text = fmt.Sprintf(text, host)
			}
			return &trouble{text: text + quoted(said, t.passing), passing: t.passing}
		}
	}
	if strings.TrimSpace(said) == "" { // a shared connection that was cut says nothing
		return &trouble{text: fmt.Sprintf("the connection to %s was lost; what runs there goes on", host), passing: true}
	}
	return &trouble{text: fmt.Sprintf("reach %s: %s", host, lastLine(said))}
}

// quoted is what ssh said, for who wants to know more.
func quoted(said string, passing bool) string {
	if passing {
		return ""
	}
	return fmt.Sprintf(" (%s)", lastLine(said))
}

// lastLine is the last line that says something.
func lastLine(text string) string {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	return clip(strings.TrimSpace(text[strings.LastIndex(text, "\n")+1:]), 300)
}
