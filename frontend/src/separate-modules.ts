import { vi } from "vitest";

// The test files that run in one process share the packages, which saves two thirds of the processor time. Each file
// gets modules of its own, because some of them have a state, such as the session.
vi.resetModules();
