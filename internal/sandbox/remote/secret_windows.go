package remote

// TakeSecret returns the secret of the environment, and the environment without
// it, which is what commands get.
func TakeSecret(env []string) (secret string, rest []string, err error) {
	secret, rest = variable(env, SecretVariable)
	_, rest = variable(rest, fdVariable)
	return secret, rest, nil
}
