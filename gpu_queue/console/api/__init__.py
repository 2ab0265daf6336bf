"""The routes of the console: one module a noun, thin over the rooms beside this one."""
