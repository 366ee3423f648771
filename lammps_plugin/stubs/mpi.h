/* What LAMMPS's headers need of MPI, for builds with MPICH, its relatives or no MPI: there a communicator is an int. */
#pragma once

typedef int MPI_Comm;
typedef int MPI_Datatype;
typedef int MPI_Request;
typedef int MPI_Op;
typedef int MPI_Info;
