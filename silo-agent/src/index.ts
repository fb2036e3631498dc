export { Agent, type AgentParts, type AgentSignals, type Attend } from './agent.ts';
export { agentProgram } from './cli/program.ts';
export type { CommandContext } from './cli/context.ts';
