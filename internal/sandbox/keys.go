package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Keys are the files and folders below a home in which people and programs keep
// keys, and what lets one read them: no command and no tool needs them.
func Keys(home string) []string {
	var all []string
	for _, name := range []string{
		".ssh", ".gnupg", ".aws", ".azure", ".kube", ".config/gcloud", ".config/gh", ".config/hub", ".config/op",
		".netrc", "_netrc", ".git-credentials", ".config/git/credentials", ".pypirc", ".npmrc", ".pgpass", ".my.cnf", ".vault-token", ".kaggle",
		".config/wandb", ".cargo/credentials", ".cargo/credentials.toml", ".local/share/keyrings", ".password-store", ".pki",
		".mozilla", ".config/google-chrome", ".config/chromium", ".config/BraveSoftware", ".config/microsoft-edge",
		"Library/Keychains", "Library/Cookies", "Library/Application Support/Google/Chrome", "Library/Application Support/Firefox",
		".bash_history", ".zsh_history", ".python_history", ".psql_history", ".local/share/fish",
		".docker", ".huggingface", ".terraform.d", ".oci", ".yarnrc.yml", ".databrickscfg", ".s3cfg", ".boto", ".gem/credentials", ".m2/settings.xml",
		".config/rclone", ".config/sops", ".config/doctl", ".config/github-copilot", ".config/glab-cli", ".claude", ".claude.json", ".codex", ".gemini",
		".local/share/kwalletd", ".Xauthority", ".ICEauthority", ".thunderbird", ".config/vivaldi", ".config/opera",
		"snap/firefox", "snap/chromium", ".var/app", "Library/Mail", "Library/Messages", "Library/Safari",
		"Library/Application Support/BraveSoftware",
		".config/kaggle", ".modal.toml", ".runpod", ".lambda_cloud", ".ngc", ".config/ngc", ".sky", ".comet.config", ".local/share/uv/credentials",
		".config/containers", ".config/hcloud", ".aliyun", ".ibmcloud", ".bluemix", ".fly", ".netlify", ".config/netlify", ".config/vercel",
		".local/share/com.vercel.cli", ".config/heroku", ".config/tea", ".gradle/gradle.properties", ".composer/auth.json", ".config/composer", ".subversion/auth",
		".age", ".config/age", ".config/keepassxc", ".electrum", ".bitcoin", ".ethereum", ".config/Signal", ".config/Slack", ".config/discord",
		".authinfo", ".authinfo.gpg", ".msmtprc", ".config/msmtp", ".mbsyncrc", ".fetchmailrc", ".muttrc", ".mutt", ".config/mutt", ".config/neomutt",
		".mysql_history", ".node_repl_history", ".sqlite_history", ".lesshst", ".ipython/profile_default/history.sqlite", ".local/share/jupyter/runtime",
		".config/Code/User/globalStorage", ".config/Cursor", ".cursor", ".continue", ".aider.conf.yml", ".config/goose", ".config/opencode", ".local/share/opencode",
		".config/crush", ".local/share/crush", ".config/anthropic", ".anthropic", ".openai", ".config/openai", ".cache/mozilla", ".cache/google-chrome",
	} {
		all = append(all, filepath.Join(home, filepath.FromSlash(name)))
	}
	return all
}

// keyVariables lead programs to keys that are not where Keys looks.
var keyVariables = []string{
	"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_CONFIG_DIR", "AZURE_FEDERATED_TOKEN_FILE",
	"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "BOTO_CONFIG", "OCI_CLI_CONFIG_FILE",
	"KUBECONFIG", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "GH_CONFIG_DIR", "GLAB_CONFIG_DIR", "NETRC", "GNUPGHOME", "PASSWORD_STORE_DIR",
	"NPM_CONFIG_USERCONFIG", "PGPASSFILE", "KAGGLE_CONFIG_DIR", "WANDB_CONFIG_DIR", "RCLONE_CONFIG", "MODAL_CONFIG_PATH", "SOPS_AGE_KEY_FILE",
	"CLAUDE_CONFIG_DIR", "CODEX_HOME", "HISTFILE", "XAUTHORITY", "KRB5CCNAME", "KRB5_KTNAME",
}

// NamedKeys are the files and folders with keys that variables name. What is one
// of around, or holds it, as the home or the workspace, holds more than keys.
func NamedKeys(getenv func(string) string, around ...string) []string {
	var all []string
	for _, name := range keyVariables {
		for _, path := range filepath.SplitList(strings.TrimPrefix(getenv(name), "FILE:")) {
			path = filepath.Clean(path)
			wide := func(dir string) bool { return dir != "" && within(path, dir) }
			if filepath.IsAbs(path) && filepath.Dir(filepath.Dir(path)) != filepath.Dir(path) && !slices.ContainsFunc(around, wide) {
				all = append(all, path)
			}
		}
	}
	for variable, usual := range map[string]string{"XDG_CONFIG_HOME": ".config", "XDG_DATA_HOME": ".local/share", "CARGO_HOME": ".cargo"} {
		if dir := getenv(variable); filepath.IsAbs(dir) {
			all = append(all, moved(filepath.FromSlash(usual), dir)...)
		}
	}
	return all
}

// moved are the keys that are in dir because what is usually a folder of the home
// has been moved there.
func moved(usual, dir string) []string {
	var all []string
	for _, key := range Keys("") {
		if rel, err := filepath.Rel(usual, key); err == nil && filepath.IsLocal(rel) && rel != "." {
			all = append(all, filepath.Join(dir, rel))
		}
	}
	return all
}

// OthersKeys are the keys in homes of other people that are there, for a process
// that may read them all as root does.
func OthersKeys(home string) []string {
	if os.Geteuid() != 0 {
		return nil
	}
	homes, _ := filepath.Glob("/home/*") // the pattern is good
	homes = append([]string{"/root"}, homes[:min(len(homes), maxHomes)]...)
	var all []string
	for _, other := range homes {
		if other == home {
			continue
		}
		for _, path := range Keys(other) {
			if exists(path) {
				all = append(all, path)
			}
		}
	}
	return all
}

// maxHomes bounds what is looked at before each command.
const maxHomes = 30
