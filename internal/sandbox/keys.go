package sandbox

import "path/filepath"

// Keys are the files and folders below a home in which people and programs keep
// keys, and what lets one read them: no command and no tool needs them.
func Keys(home string) []string {
	var all []string
	for _, name := range []string{
		".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker/config.json", ".config/gcloud", ".config/gh", ".config/hub", ".config/op",
		".netrc", "_netrc", ".git-credentials", ".config/git/credentials", ".pypirc", ".npmrc", ".pgpass", ".my.cnf", ".vault-token", ".kaggle",
		".config/wandb", ".cargo/credentials", ".cargo/credentials.toml", ".local/share/keyrings", ".password-store", ".pki",
		".mozilla", ".config/google-chrome", ".config/chromium", ".config/BraveSoftware", ".config/microsoft-edge",
		"Library/Keychains", "Library/Cookies", "Library/Application Support/Google/Chrome", "Library/Application Support/Firefox",
		".bash_history", ".zsh_history", ".python_history",
	} {
		all = append(all, filepath.Join(home, filepath.FromSlash(name)))
	}
	return all
}

// Locked are the paths of a workspace that say what other programs run, or what
// this one may do: a person writes them.
func Locked() []string {
	return []string{
		".git/hooks", ".git/config", ".ml-intern", ".envrc", ".vscode", ".idea",
		".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshrc", ".zshenv", ".zprofile", ".config/fish", ".config/systemd", ".config/autostart",
	}
}
