//go:build linux

// Package dotenv tells which variables an app's .env files define, as Next.js reads them, and keeps their values to
// itself.
//
// The files are read with the very expression that dotenv, and so @next/env, uses, so that this package and the app
// agree on every odd line. References such as $OTHER are not followed: their value depends on an environment that only
// the app has. The process's own environment, which beats all files, is not looked at either.
//
// Values never appear in a result, an error or a problem. [Lookup] hands out a single one as a [Secret], for a check
// that must connect to what it names.
package dotenv
